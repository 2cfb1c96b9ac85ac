"""Python programs of their own that have the Dags, the plugins and the library on their path."""

import os
import subprocess
import sys

from sr_tasks.config import REPOSITORY

HEAVY = ("torch", "openvino", "onnxruntime", "onnx", "av", "cv2", "numpy", "boto3", "sr_tasks.steps")
"""What must not be loaded while a Dag is parsed."""


def python(code: str) -> str:
    """The last line that a program prints. It may not fail."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(str(REPOSITORY / part) for part in ("", "plugins", "dags"))}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]
