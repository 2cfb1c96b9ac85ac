"""Whose fault a failure is: the request's, the service's, or the quality's. Pure; decides what burns an objective."""

from typing import Final, Literal

from sr_tasks import errors

Fault = Literal["request", "service", "quality"]

_OF_REQUEST: Final = (
    errors.UsageError,
    errors.InputRefused,
    errors.InputDamaged,
    errors.InputChanged,
    errors.JobCancelled,
)
_OF_SERVICE: Final = (errors.DiskTooSmall, errors.RoutesInvalid)
"""Refused before anything was started, but no other request would have fared better."""
_OF_QUALITY: Final = frozenset({"QUALITY_REFUSED", "REVIEW_REJECTED"})


def fault_of(code: str) -> Fault:
    """`request` for what a better request would cure, `quality` for an output that was refused, else `service`."""
    if code in _OF_QUALITY:
        return "quality"
    kind = errors.known_errors().get(code, errors.SrError)
    return "request" if issubclass(kind, _OF_REQUEST) and not issubclass(kind, _OF_SERVICE) else "service"


def known_codes() -> tuple[str, ...]:
    """Every code of the error tree."""
    return tuple(sorted(errors.known_errors()))
