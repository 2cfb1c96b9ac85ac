"""The report page: well-formed, self-contained, safe, and saying what it must."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from sr_tasks.quality.plots import Plot, draw
from sr_tasks.quality.report import ReportData, render, size
from sr_tasks.records.assessment import Decision, Verdict
from tests.clips import make
from tests.quality.twins import LIMITS, judge, write_twin

VOID = {"meta", "br", "img"}
HOSTILE = """<script>alert("1")</script> & 'quote' {{ 7*7 }} \u202e.mp4"""


class Page(HTMLParser):
    """Checks nesting while collecting tags, attributes and text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    folder = tmp_path_factory.mktemp("report")
    source = make(
        folder / "source.mp4", sound="aac", width=320, height=192, colorspace=6, color_primaries=6, color_trc=6
    )
    judged = judge(source, write_twin(folder / "twin.mp4", source))
    return ReportData(
        job_id="manual__1",
        created="20 November 2026, 08:40 UTC",
        source_name="source.mp4",
        output_name="twin.mp4",
        source_info=judged.source_info,
        output_info=judged.output_info,
        model="bicubic",
        model_version="1",
        device="a CPU",
        settings={"Codec": "h264", "CRF": "17"},
        streams=judged.fates,
        assessment=judged.assessment,
        integrity=judged.integrity,
        limits=LIMITS,
        verdict=judged.verdict,
        timings_s={"upscale": 61.0, "assess": 2.5},
        software={"FFmpeg": "8.0"},
        pictures=judged.album.pairs(),
    )


def parsed(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page


def test_the_page_is_well_formed_and_says_what_was_done(data: ReportData) -> None:
    page = parsed(render(data))
    for expected in (
        "Failed",
        "320x192 became 640x384 (2x) with bicubic 1: 24 frames",
        "Audio #1 (aac deu): there",
        "Worst block PSNR",
        "at least 20 dB",
        "Most changed place",
        "1 min 1 s",
        "CRF",
        "FFmpeg",
        "enhanced",
    ):
        assert expected in page.text
    assert sum(tag == "svg" for tag, _ in page.tags) == 4


def test_a_passed_job_shows_no_reasons(data: ReportData) -> None:
    passed = data.model_copy(update={"verdict": Verdict(decision=Decision.PASSED, reasons=())})
    page = parsed(render(passed))
    assert "Passed" in page.text
    assert "What speaks against it" not in page.text


def test_a_persons_decision_is_stated_also_where_nothing_spoke_against_the_output(data: ReportData) -> None:
    decided = {"verdict": Verdict(decision=Decision.PASSED, reasons=()), "decision": "Approved by <anna>."}
    assert "Approved by <anna>." in parsed(render(data.model_copy(update=decided))).text


def test_a_gate_that_was_off_is_stated(data: ReportData) -> None:
    assert "switched off" not in parsed(render(data)).text
    assert "switched off" in parsed(render(data.model_copy(update={"is_gate_on": False}))).text


def test_the_page_loads_nothing_from_outside(data: ReportData) -> None:
    html = render(data)
    page = parsed(html)
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base"}
        for name in ("src", "href", "srcset", "action", "background", "poster"):
            assert (attributes.get(name) or "data:image/").startswith("data:image/")
    without_pictures = re.sub(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+", "", html)
    assert not re.search(r"(https?:)?//[a-z]|url\(|@import", without_pictures)


def test_hostile_names_stay_text(data: ReportData) -> None:
    hostile = data.model_copy(
        update={
            "source_name": HOSTILE,
            "output_name": HOSTILE,
            "job_id": HOSTILE,
            "device": HOSTILE,
            "settings": {HOSTILE: HOSTILE},
            "verdict": Verdict(decision=Decision.FAILED, reasons=(HOSTILE,), hint=HOSTILE),
            "streams": [data.streams[0].model_copy(update={"language": HOSTILE, "reason": HOSTILE})],
        }
    )
    page = parsed(render(hostile))
    assert all(tag != "script" for tag, _ in page.tags)
    assert page.text.count(HOSTILE) >= 9


def test_every_picture_and_plot_has_words(data: ReportData) -> None:
    page = parsed(render(data))
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 3 * len(data.pictures)
    assert len({attributes["alt"] for attributes in pictures}) >= 3
    assert all(attributes["aria-label"] for tag, attributes in page.tags if tag == "svg")
    assert dict(page.tags)["html"]["lang"] == "en"


def test_report_data_survives_json(data: ReportData) -> None:
    assert render(ReportData.model_validate_json(data.model_dump_json())) == render(data)


def plot(values: list[float | None], **changes: object) -> Plot:
    given = {
        "title": "PSNR",
        "unit": "dB",
        "time_s": [n / 25 for n in range(len(values))],
        "values": values,
        "limit": 24.0,
    }
    return Plot(**(given | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [[40.0], [40.0, 40.0], [40.0, None, 41.0], [24.0, 24.0], [3.0, 99.0, 24.0]])
def test_curves_stay_inside_the_plot(values: list[float | None]) -> None:
    root = ElementTree.fromstring(str(draw(plot(values))))
    numbers = [float(n) for line in root.iter("polyline") for n in re.split("[ ,]", line.attrib["points"])]
    numbers += [float(e.attrib[k]) for e in root.iter("circle") for k in ("cx", "cy")]
    assert len(numbers) == 2 * sum(v is not None for v in values)
    assert all(62 <= x <= 706 for x in numbers[::2])
    assert all(14 <= y <= 204 for y in numbers[1::2])


def test_a_plot_without_values_says_so() -> None:
    assert "No figures" in draw(plot([None, None]))


def test_a_plot_is_described_in_words() -> None:
    label = ElementTree.fromstring(str(draw(plot([40.0, 38.5])))).attrib["aria-label"]
    assert label == "PSNR over 0.0 s: from 38.5 to 40.0 dB; at least 24 dB is wanted."


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (2_811_553, "2.8 MB"), (3 * 10**15, "3000.0 TB")],
)
def test_sizes_read_well(count: int, text: str) -> None:
    assert size(count) == text
