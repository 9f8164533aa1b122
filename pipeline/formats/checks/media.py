"""Sound and moving images: what MediaInfo reads from them. It judges nothing."""

from __future__ import annotations

from importlib.metadata import version

from pymediainfo import MediaInfo

from pipeline.formats.tool import Validity, Verdict

_TOOL = f"MediaInfo (pymediainfo {version('pymediainfo')})"
_KEPT = {
    "Audio": ("format", "sampling_rate", "channel_s", "bit_depth"),
    "Video": ("format", "width", "height", "frame_rate", "frame_count"),
}


def check(path: str) -> Verdict:
    """NOT_CHECKED, with facts; NOT_VALID when it is cut short; UNKNOWN when it holds no stream."""
    found = MediaInfo.parse(path)
    facts: dict[str, str] = {}
    for track in found.tracks:
        if track.track_type == "General" and track.duration:
            facts["duration"] = f"{float(track.duration) / 1000:.3f}"
        for name in _KEPT.get(track.track_type, ()):
            value = getattr(track, name, None)
            if value not in (None, ""):
                facts.setdefault(f"{track.track_type.lower()} {name.replace('_', ' ')}", str(value))
    if any(str(getattr(track, "istruncated", "")) == "Yes" for track in found.tracks):
        return Verdict(Validity.NOT_VALID, _TOOL, ("it is cut short",), facts)
    streams = sum(track.track_type in _KEPT for track in found.tracks)
    if not streams:
        return Verdict(Validity.UNKNOWN, _TOOL, ("no sound or picture is found in it",), facts)
    return Verdict(Validity.NOT_CHECKED, _TOOL, (), {**facts, "streams": str(streams)})
