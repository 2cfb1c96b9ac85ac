"""Spherical and stereo 3D metadata of frames, as FFmpeg's structs hold them."""

import struct
from typing import Final, Literal

from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame

from sr_tasks.media.side_data import side_data_of
from sr_tasks.records.media import ViewInfo

Projection = Literal["equirectangular", "cubemap", "tiled equirectangular"]
Stereo = Literal["side by side", "top and bottom", "frame sequence"]

SPHERICAL: Final = "spherical (360 degree) metadata"
STEREO: Final = "stereo 3D metadata"
_PROJECTIONS: Final[dict[int, Projection]] = {0: "equirectangular", 1: "cubemap", 2: "tiled equirectangular"}
"""AVSphericalProjection -> its name. Of the others no container that is written has a word for."""
_STEREO: Final[dict[int, Stereo]] = {1: "side by side", 2: "top and bottom", 3: "frame sequence"}
"""AVStereo3DType -> its name. Views that are mixed line by line or px by px do not survive being enlarged."""
_SPHERE: Final = struct.Struct("<I3i5I")
_EYES: Final = struct.Struct("<Ii")
_DEGREE: Final = 65536
_INVERTED: Final = 1


def view_of(frame: VideoFrame) -> ViewInfo:
    """What a frame says of its projection and its eyes, as far as outputs can say it."""
    said: dict[str, object] = {}
    sphere, eyes = side_data_of(frame, SideDataType.SPHERICAL), side_data_of(frame, SideDataType.STEREO3D)
    if len(sphere) >= _SPHERE.size:
        number, yaw, pitch, roll, *bounds, padding = _SPHERE.unpack_from(sphere)
        if number in _PROJECTIONS:
            turns = {"yaw": yaw / _DEGREE, "pitch": pitch / _DEGREE, "roll": roll / _DEGREE}
            said |= {"projection": _PROJECTIONS[number], "bounds": tuple(bounds), "padding_px": padding} | turns
    if len(eyes) >= _EYES.size:
        number, flags = _EYES.unpack_from(eyes)
        if number in _STEREO:
            said |= {"stereo": _STEREO[number], "is_right_first": bool(flags & _INVERTED)}
    return ViewInfo.model_validate(said)


def not_held(frame: VideoFrame) -> set[str]:
    """Names of what a frame says of them and no output can."""
    view = view_of(frame)
    eyes = side_data_of(frame, SideDataType.STEREO3D)
    lost = set()
    if side_data_of(frame, SideDataType.SPHERICAL) and view.projection == "flat":
        lost.add(SPHERICAL)
    if any(eyes[:4]) and view.stereo == "mono":
        lost.add(STEREO)
    return lost


def named(view: ViewInfo) -> list[str]:
    """Names of what a view holds."""
    return [SPHERICAL] * (view.projection != "flat") + [STEREO] * (view.stereo != "mono")
