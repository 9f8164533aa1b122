"""Sound and moving images: what MediaInfo reads from them, which judges nothing; the structure of sound."""

from __future__ import annotations

from importlib.metadata import version

from pymediainfo import MediaInfo

from pipeline.formats.checks.sound import structure_of
from pipeline.formats.tool import ValidationResult, Validity

_TOOL = f"MediaInfo (pymediainfo {version('pymediainfo')})"
_KEPT = {
    "Audio": ("format", "sampling_rate", "channel_s", "bit_depth"),
    "Video": ("format", "width", "height", "frame_rate", "frame_count"),
}


def check(path: str) -> ValidationResult:
    """NOT_CHECKED, with facts; NOT_VALID when it is cut short; UNKNOWN when it holds no stream.

    WAVE and AIFF are WELL_FORMED at best: their chunks are looked at, not their samples.
    """
    found = MediaInfo.parse(path)
    facts: dict[str, str] = {}
    for track in found.tracks:
        if track.track_type == "General" and track.duration:
            facts["duration"] = f"{float(track.duration) / 1000:.3f}"
        for name in _KEPT.get(track.track_type, ()):
            value = getattr(track, name, None)
            if value not in (None, ""):
                facts.setdefault(f"{track.track_type.lower()} {name.replace('_', ' ')}", str(value))
    structure = structure_of(path)
    if structure is not None and structure.problems:
        return ValidationResult(
            Validity.NOT_VALID, f"Stele, {structure.form}", tuple(structure.problems[:20]), facts
        )
    # Of sound whose structure is known MediaInfo says so too when there are bytes after its end.
    if structure is None and any(str(getattr(track, "istruncated", "")) == "Yes" for track in found.tracks):
        return ValidationResult(Validity.NOT_VALID, _TOOL, ("it is cut short",), facts)
    streams = sum(track.track_type in _KEPT for track in found.tracks)
    if not streams:
        return ValidationResult(Validity.UNKNOWN, _TOOL, ("no sound or picture is found in it",), facts)
    if structure is not None and structure.complete:
        facts["streams"] = str(streams)
        return ValidationResult(Validity.WELL_FORMED, f"Stele, {structure.form}", (), facts)
    return ValidationResult(Validity.NOT_CHECKED, _TOOL, (), {**facts, "streams": str(streams)})
