"""A session whose output lies between that of a network and plain resampling."""

import cv2
import numpy as np

from sr_tasks.graphs.runtime import Planes, Session, Window


def blended(session: Session, plain: Session, strength: float) -> Session:
    """A session whose samples are `strength` (between 0 and 1) of the first session's and the rest of the second's.
    Both give planes of the same shapes. Closing it closes both."""
    return _Blended(session, plain, strength)


class _Blended:
    """A `Session` around two. Each sample is rounded once more than those that it comes from."""

    def __init__(self, session: Session, plain: Session, strength: float) -> None:
        self.output_shapes = session.output_shapes
        self._session, self._plain, self._strength = session, plain, strength

    def infer(self, window: Window, out: Planes | None = None) -> Planes:
        """See `Session.infer`."""
        results = self._session.infer(window, out)
        for result, soft in zip(results, self._plain.infer(window), strict=True):
            np.copyto(result, cv2.addWeighted(result, self._strength, soft, 1.0 - self._strength, 0.0))
        return results

    def close(self) -> None:
        """See `Session.close`."""
        self._session.close()
        self._plain.close()
