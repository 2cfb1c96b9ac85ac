"""Languages of streams: which codes each container has room for, and which mean the same. Pure."""

import re

_ISO_639_2 = re.compile("[a-z]{3}")
"""What MP4 has room for: three letters in 15 bits."""

_QUICKTIME_CODES = (
    "alb amh ara arm asm aym aze baq bel ben bul bur cat ces chi dan dut dzo eng epo est fin fo~ fra geo ger gre grn "
    "guj heb hin hr~ hun ice ind iri ita jav jpn kan kas kaz khm kin kir kor kur lao lat lav lit mac mal mar may mlg "
    "mlt mol mon nep nor nya ori orm pa~ per pol por pus que ron run rus san sin slk slv smi snd som spa sr~ sve swa "
    "tam tat tel tgk tgl tha tib tir tuk tur uig ukr urd uzb vie wel yid"
)
"""QuickTime numbers its languages (QuickTime File Format, "Language code values"); FFmpeg's names for those it writes.
`~` stands for a space."""
_QUICKTIME = frozenset(_QUICKTIME_CODES.split())

_SAME = {
    "sqi": "alb", "hye": "arm", "eus": "baq", "mya": "bur", "zho": "chi", "cze": "ces", "nld": "dut", "fre": "fra",
    "kat": "geo", "deu": "ger", "ell": "gre", "isl": "ice", "mkd": "mac", "msa": "may", "fas": "per", "rum": "ron",
    "slo": "slk", "bod": "tib", "cym": "wel", "mri": "mao", "fao": "fo ", "hrv": "hr ", "pan": "pa ", "srp": "sr ",
    "swe": "sve",
}  # fmt: skip
"""The pairs of ISO 639-2 (bibliographic and terminological), and FFmpeg's own spellings for QuickTime."""


def held(language: str, muxer: str) -> str:
    """The code to write into a container of FFmpeg's `muxer` for a stream's language; empty if it has none for it."""
    if muxer == "mov":
        code = _SAME.get(language, language)
        return code if code.replace(" ", "~") in _QUICKTIME else ""
    if muxer == "mp4":
        return language if _ISO_639_2.fullmatch(language) else ""
    return language


def is_same(one: str, other: str) -> bool:
    """Whether two codes mean one language; none at all is the same as `und`."""
    names = [_SAME.get(code, code) for code in (one or "und", other or "und")]
    return names[0] == names[1]
