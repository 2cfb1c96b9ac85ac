"""Side data of a frame, read without keeping the frame."""

from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame


def side_data_of(frame: VideoFrame, kind: "SideDataType | str") -> bytes:
    """The bytes of one kind; empty if the frame has none.

    `frame.side_data` would do the same, but PyAV keeps what it gives in the frame, and that refers to the frame: the
    memory of frames would only be given back when Python looks for circles.
    """
    data = SideDataContainer(frame).get(kind)  # type: ignore[call-arg]
    return b"" if data is None else bytes(data)
