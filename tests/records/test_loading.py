"""Files that people write: what is wrong in them is said in one sentence with the place."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from sr_tasks.errors import UsageError
from sr_tasks.records.loading import load_yaml, read_yaml


class Share(BaseModel):
    percent: int = Field(ge=0, le=100)


class Rules(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = "unnamed"
    shares: list[Share] = []


def loaded(path: Path) -> Rules:
    return load_yaml(path, Rules, UsageError, what="The file of rules", hint="Correct it.")


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "rules.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_file_is_read_as_its_record_and_an_empty_one_has_the_defaults(tmp_path: Path) -> None:
    found = loaded(written(tmp_path, "name: größer\nshares: [{percent: 70}, {percent: 30}]\n"))
    assert found == Rules(name="größer", shares=[Share(percent=70), Share(percent=30)])
    assert loaded(written(tmp_path, "# nothing yet\n")) == Rules()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("shares: [{percent: 101}]", "shares.0.percent: Input should be less than or equal to 100 (got 101)"),
        ("shares: [{}]", "shares.0.percent: Field required"),
        ("names: x", "names: Extra inputs are not permitted (got 'x')"),
        ("- a\n- b", "the file: Input should be a valid dictionary"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place_and_its_value(tmp_path: Path, content: str, said: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(UsageError) as refused:
        loaded(path)
    assert refused.value.message.startswith(f"The file of rules {path} is not valid: {said}")
    assert refused.value.hint == "Correct it."


@pytest.mark.parametrize(
    "content", ["shares: [{percent: 1}", "a: b: c", b"name: \xff\xfe\x00", "x: !!python/name:os.system"]
)
def test_what_is_not_yaml_or_would_run_code_is_refused(tmp_path: Path, content: str | bytes) -> None:
    path = written(tmp_path, content)
    with pytest.raises(UsageError, match=r"^The file of rules .*rules\.yaml cannot be read: "):
        loaded(path)


def test_a_file_that_cannot_be_read_is_told_from_one_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        loaded(tmp_path / "missing.yaml")
    with pytest.raises(UsageError, match="cannot be read"):
        loaded(tmp_path)


def test_a_value_without_bounds_is_shortened_in_the_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        loaded(written(tmp_path, f"shares: {'x' * 5000}"))
    assert len(refused.value.message) < 400


def test_plain_data_keep_their_kinds(tmp_path: Path) -> None:
    path = written(tmp_path, "a: 1\nb: [1.5, true, null, text]\n")
    assert read_yaml(path, UsageError, what="It", hint="") == {"a": 1, "b": [1.5, True, None, "text"]}
