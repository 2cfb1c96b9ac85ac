"""Licences: what an SPDX expression asks for, and that a model under one that is not allowed is refused."""

from pathlib import Path

import pytest

from sr_tasks.config import Settings
from sr_tasks.errors import LicenceNotAllowed, ModelRejected, UsageError
from sr_tasks.records.spdx import satisfies
from sr_tasks.registry.licences import is_allowed, require_licence
from sr_tasks.registry.registry import Registry
from tests.graphs.sample_models import write_model


@pytest.mark.parametrize(
    ("licence", "allowed", "expected"),
    [
        ("MIT", ["*"], True),
        ("MIT", ["MIT"], True),
        ("mit", ["Mit"], True),
        ("MIT", ["Apache-2.0"], False),
        ("MIT", [], False),
        ("MIT OR GPL-3.0-only", ["MIT"], True),
        ("MIT AND CC-BY-4.0", ["MIT"], False),
        ("MIT AND CC-BY-4.0", ["MIT", "CC-BY-4.0"], True),
        ("MIT AND CC-BY-4.0", ["MIT AND CC-BY-4.0"], True),
        ("MIT OR Apache-2.0 AND ISC", ["MIT"], True),
        ("(MIT OR Apache-2.0) AND ISC", ["MIT"], False),
        ("(MIT OR Apache-2.0) AND ISC", ["MIT", "ISC"], True),
        ("ISC AND (MIT OR (BSD-3-Clause AND Zlib))", ["ISC", "BSD-3-Clause", "Zlib"], True),
        ("ISC AND (MIT OR (BSD-3-Clause AND Zlib))", ["ISC", "BSD-3-Clause"], False),
        ("GPL-2.0-or-later", ["GPL-2.0-only"], True),
        ("GPL-2.0-only", ["GPL-2.0-or-later"], False),
        ("Apache-2.0+", ["Apache-2.0"], True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only"], True),
        ("GPL-2.0-only", ["GPL-2.0-only WITH Classpath-exception-2.0"], False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only WITH Classpath-exception-2.0"], True),
        ("LicenseRef-house-style", ["LicenseRef-house-style"], True),
        ("CC-BY-NC-4.0", ["CC-BY-4.0"], False),
    ],
)
def test_an_expression_is_satisfied_by_what_it_asks_for_and_no_less(
    licence: str, allowed: list[str], expected: bool
) -> None:
    assert satisfies(licence, allowed) is expected


def test_a_model_under_a_licence_that_is_not_allowed_is_refused_by_name(tmp_path: Path) -> None:
    write_model(tmp_path, "cubic", licence="cc-by-nc-4.0")
    entry = Registry(tmp_path).get("cubic")
    with pytest.raises(LicenceNotAllowed) as caught:
        require_licence(entry, Settings(allowed_licences=("MIT", "Apache-2.0")))
    assert "cubic@1 is under CC-BY-NC-4.0" in caught.value.message
    assert "MIT, Apache-2.0" in caught.value.hint
    require_licence(entry, Settings(allowed_licences=("MIT", "CC-BY-NC-4.0")))
    require_licence(entry, Settings())


def test_a_style_needs_its_own_licence_besides_the_models(tmp_path: Path) -> None:
    style = {"name": "Ink", "licence": "CC-BY-SA-4.0"}
    write_model(tmp_path, "ink", network=b"x", kind="style", style=style, licence="MIT")
    entry = Registry(tmp_path).get("ink")
    assert is_allowed(entry.card, Settings(allowed_licences=("MIT", "CC-BY-SA-4.0")))
    with pytest.raises(LicenceNotAllowed, match=r"style of the model ink@1 is under CC-BY-SA-4\.0"):
        require_licence(entry, Settings(allowed_licences=("MIT",)))


@pytest.mark.parametrize("licence", ["free for all", "", "MIT AND", "MIT OR OR ISC", "x" * 600])
def test_a_card_whose_licence_is_no_expression_is_rejected(tmp_path: Path, licence: str) -> None:
    write_model(tmp_path, "cubic", licence=licence)
    with pytest.raises(ModelRejected, match="licence"):
        Registry(tmp_path).get("cubic")


def test_an_unreadable_list_of_allowed_licences_is_the_operators_fault_and_said_so(tmp_path: Path) -> None:
    write_model(tmp_path, "cubic")
    with pytest.raises(UsageError, match="SR_ALLOWED_LICENCES"):
        require_licence(Registry(tmp_path).get("cubic"), Settings(allowed_licences=("ours",)))
