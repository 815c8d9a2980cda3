"""Which photos and films a folder holds, and where the colored version of each goes.

Found one after the other, so that a folder may hold any number of them.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import NamedTuple, TypeGuard

from pipeline.errors import ColorpipeError, Failure
from pipeline.files.listing import is_hidden, leads_to_folder
from pipeline.files.names import without_number
from pipeline.imaging.kinds import BY_NAME, SUFFIXES, WRITTEN, FormatName, with_suffix
from pipeline.inference.hints import SIDECAR, Hint

READ = ", ".join(sorted(SUFFIXES))
"""The extensions of the files that are read, as a sentence names them."""
WRITABLE = ", ".join(sorted(suffix for name in WRITTEN for suffix in BY_NAME[name].color_suffixes))
"""The extensions of the files that are written."""
NO_FILMS: Mapping[str, str] = {}
"""For work on photos alone."""


class Rival(NamedTuple):
    """A photo whose result may get the name of another one's, by its two paths."""

    source: str
    target: str


@dataclass(frozen=True)
class Job:
    """A photo or a film, and where its colored version goes."""

    name: str
    """Relative to the folder that was given, with ``/``."""
    source: Path
    target: Path
    hints: Path | tuple[Hint, ...] = ()
    """Places with known colors, or the file that holds them."""
    rivals: tuple[Rival, ...] = ()
    """Other photos whose results may get the names of this one's."""
    bytes: int = 0
    """Size of ``source`` as a storage lists it, which bounds what is read ahead."""
    again: bool = False
    """Whether what is where its results go comes from an earlier try, and gives way."""


def find_jobs(
    source: Path,
    out: Path,
    format: FormatName | None,
    passed_over: Counter[str] | None = None,
    films: Mapping[str, str] = NO_FILMS,
) -> Iterator[Job | Failure]:
    """Find the photo or film ``source``, or all below it, in the order of their names.

    By their extension photos are told from other files; hidden files and what a desktop or a NAS
    leaves behind are passed over (:func:`pipeline.files.listing.is_hidden`). Links to folders are
    followed, though not in circles. The file ``photo.jpg.hints.json`` beside ``photo.jpg`` has its
    hints.

    Args:
        source: a photo, a film, or a folder of them.
        out: a folder, in which the sub-folders of ``source`` are repeated. For a single photo it
            may be a file, named with an extension that is written (:func:`format_to_write` tells
            which format that asks for); with any other extension it must be a folder that exists.
        format: what photos are written as; None keeps each one's own.
        passed_over: counts the other files, by extension, and what a NAS leaves behind, by name.
        films: the extensions of films, in lower case, each with the one that is written.

    Raises:
        ColorpipeError: there is nothing at ``source``, or ``out`` would be written over it, or has
            the name of a file in a format that is not written.
    """
    if not os.path.lexists(source):
        raise ColorpipeError(f"There is no {source}; name a photo or a folder of photos.")
    if source.is_dir():
        if out.is_dir() and out.samefile(source):
            raise ColorpipeError(
                f"{out} holds the photos themselves; name another folder for their colored"
                " versions."
            )
        if out.exists() and not out.is_dir():
            raise ColorpipeError(f"{out} is a file; name a folder, since {source} is one.")
        return _below(source, out, format, passed_over, films)
    is_film = source.suffix.lower() in films
    if is_film or (out.suffix.lower() in films and not out.is_dir()):
        return iter([_film_job(source, out, films)])
    names_a_file = _names_a_file(out)
    if out.exists() and not out.is_dir() and not names_a_file:
        raise ColorpipeError(
            f"{out} is a file that is not named like a photo; name a folder, or a file that ends"
            f" in {WRITABLE}."
        )
    if out.suffix and not out.exists() and not names_a_file:
        raise ColorpipeError(
            f"{out} is named like a file, but no format that is written ends in {out.suffix}; name"
            f" one that ends in {WRITABLE}, or make the folder first."
        )
    if reason := _unreadable(source):
        return iter([Failure(source.name, reason)])
    target = out if names_a_file else out / _name(source.name, format)
    if target.exists() and target.samefile(source):
        raise ColorpipeError(f"{target} is the photo itself; name another file or folder.")
    sidecar = source.with_name(source.name + SIDECAR)
    # Its name may be longer than names can be, which is an error to look for.
    return iter([Job(source.name, source, target, () if _unreadable(sidecar) else sidecar)])


def _film_job(source: Path, out: Path, films: Mapping[str, str]) -> Job | Failure:
    """Return what is to be done where the one file to read or to write is named like a film."""
    written = sorted(set(films.values()))
    if source.suffix.lower() not in films:
        raise ColorpipeError(
            f"{out} is named like a film, but {source} is not; name a photo, or a folder."
        )
    if out.suffix and not out.is_dir() and out.suffix.lower() not in written:
        raise ColorpipeError(
            f"{out} is not named like a film that is written; name one that ends in"
            f" {', '.join(written)}, or a folder that is there."
        )
    if out.exists() and not out.is_dir() and not out.suffix:
        raise ColorpipeError(f"{out} is a file that is not named like a film; name another.")
    if reason := _unreadable(source):
        return Failure(source.name, reason)
    names_a_file = bool(out.suffix) and not out.is_dir()
    target = out if names_a_file else out / _name(source.name, None, films)
    if target.exists() and target.samefile(source):
        raise ColorpipeError(f"{target} is the film itself; name another file or folder.")
    return Job(source.name, source, target)


def format_to_write(source: Path, out: Path, asked: FormatName | None) -> FormatName | None:
    """Return the format that a single photo's named file has by its extension, or else ``asked``.

    Raises:
        ColorpipeError: the two are not the same.
    """
    if source.is_dir() or not _names_a_file(out):
        return asked
    suffix = out.suffix.lower()
    named = next(name for name in WRITTEN if suffix in BY_NAME[name].color_suffixes)
    if asked not in {None, named}:
        raise ColorpipeError(
            f"{out} is to be a file in the format {named}, but --format says {asked}; give only one"
            " of them, or both alike."
        )
    return named


def _names_a_file(out: Path) -> bool:
    suffix = out.suffix.lower()
    is_written = any(suffix in BY_NAME[name].color_suffixes for name in WRITTEN)
    return is_written and not out.is_dir()


class _OwnFolders:
    """The folders that the photos lie in, whatever links lead to them: nothing is written there."""

    def __init__(self, source: Path, out: Path) -> None:
        self.top = out.resolve()
        self._all = [source.resolve()]
        # Where ``out`` lies inside ``source``, it is not read, and may be written to.
        self._spared = self.top not in self._all and self.top.is_relative_to(self._all[0])

    def include(self, folder: Path, place: Path) -> bool:
        """Take up a folder of photos; return whether ``place``, for their results, is an own one.

        Both are real paths, without links.
        """
        if not any(folder.is_relative_to(own) for own in self._all):
            self._all.append(folder)
        if self._spared and place != folder and place.is_relative_to(self.top):
            return False
        return any(place.is_relative_to(own) for own in self._all)


def _below(
    source: Path,
    out: Path,
    format: FormatName | None,
    passed_over: Counter[str] | None,
    films: Mapping[str, str],
) -> Iterator[Job | Failure]:
    own = _OwnFolders(source, out)
    # Each with the folders that it lies in, by which a circle of links is noticed.
    waiting: list[tuple[Path, tuple[tuple[int, int], ...]]] = [(Path(), ())]
    while waiting:
        folder, around = waiting.pop()
        try:
            status = (source / folder).stat()
            inner, photos, others = _listed(source / folder, films)
        except OSError as error:
            yield Failure(folder.as_posix(), f"the folder could not be read ({error.strerror})")
            continue
        here = (status.st_dev, status.st_ino)
        if here in around:
            reason = "a link to a folder that it lies in; it is not followed"
            yield Failure(folder.as_posix(), reason)
            continue
        real = (source / folder).resolve()
        if folder.parts and real == own.top:
            continue
        sidecars = {name + SIDECAR for name in photos}.intersection(others)
        if passed_over is not None:
            passed_over.update(_kind_of_other(name) for name in others if name not in sidecars)
        among_photos = own.include(real, (out / folder).resolve())
        reasons = {name: _unreadable(source / folder / name) for name in photos}
        readable = [name for name in photos if not reasons[name]]
        jobs = _jobs_in(folder, readable, sidecars, (source, out), (format, films))
        found: list[Job | Failure] = []
        for name, reason in reasons.items():
            job = Failure((folder / name).as_posix(), reason) if reason else next(jobs)
            if isinstance(job, Job) and among_photos:
                where = f"among the photos themselves, to {job.target}"
                job = Failure(job.name, f"would be written {where}")
            found.append(job)
        yield from with_rivals(found)
        waiting.extend((folder / name, (*around, here)) for name in reversed(inner))


def listed_jobs(
    source: Path,
    out: Path,
    format: FormatName | None,
    passed_over: Counter[str] | None = None,
    films: Mapping[str, str] = NO_FILMS,
    *,
    names: Sequence[str],
) -> Iterator[Job | Failure]:
    """Do as :func:`find_jobs` does for a folder that is no folder here, but was listed.

    Args:
        source: what stands for the folder.
        out: see :func:`find_jobs`.
        format: see :func:`find_jobs`.
        passed_over: see :func:`find_jobs`.
        films: see :func:`find_jobs`.
        names: what is below ``source``, with slashes, sorted; or a part of it, which is not cut
            between names that only their extensions tell apart.
    """
    everything = set(names)
    folders: dict[str, list[str]] = {}
    for name in names:
        folder, slash, file = name.rpartition("/")
        # What the web pages of a storage call a folder is an object of no bytes.
        if file and not is_hidden(PurePosixPath(name)):
            folders.setdefault(folder + slash, []).append(file)
    for folder, files in folders.items():
        photos = [name for name in files if (end := _suffix(name)) in SUFFIXES or end in films]
        others = set(files).difference(photos)
        sidecars = {name + SIDECAR for name in photos}.intersection(others)
        if passed_over is not None:
            passed_over.update(_kind_of_other(name) for name in others - sidecars)
        if reason := _unusable(folder, everything):
            for name in photos:
                yield Failure(folder + name, reason)
            continue
        yield from with_rivals(
            list(_jobs_in(Path(folder), photos, sidecars, (source, out), (format, films)))
        )


def _unusable(folder: str, names: Set[str]) -> str:
    """Say why there can be no folder of this name for results, or nothing.

    A slash stands behind each of its parts: there may be nothing before one.
    """
    parts = folder.split("/")[:-1]
    if any(part in {"", ".", ".."} or "\0" in part or os.sep in part for part in parts):
        return "a file cannot have its name"
    above = ("/".join(parts[:number]) for number in range(1, len(parts) + 1))
    photo = next((name for name in above if name in names and _suffix(name) in SUFFIXES), None)
    return f"a file cannot have its name beside {photo}" if photo else ""


def _jobs_in(
    folder: Path,
    photos: Sequence[str],
    sidecars: Set[str],
    places: tuple[Path, Path],
    written_as: tuple[FormatName | None, Mapping[str, str]],
) -> Iterator[Job | Failure]:
    """Yield a job for each photo and film that a folder has, below the first of ``places``."""
    source, out = (place / folder for place in places)
    first: dict[str, str] = {}
    for name in photos:
        path = (folder / name).as_posix()
        target = _name(name, *written_as)
        if target in first:
            where = f"to the same file as {first[target]}"
            reason = f"would be written {where}; color it into another folder"
            yield Failure(path, reason)
            continue
        first[target] = path
        hints = source / (name + SIDECAR) if name + SIDECAR in sidecars else ()
        yield Job(path, source / name, out / target, hints)


def with_rivals(jobs: Sequence[Job | Failure]) -> Iterator[Job | Failure]:
    """Tell the job of each photo which others may want the names of its own results.

    That depends on their content; whoever has a photo in hand then knows whose to look at.
    """
    by_stem: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        if is_photo_job(job):
            for stem in stems_of(str(job.target)):
                by_stem[stem].append(job)
    for job in jobs:
        # A photo that gets another extension, or a file for each page, keeps its stem.
        like = by_stem[stems_of(str(job.target))[0]] if is_photo_job(job) else ()
        rivals = tuple(rival_of(other) for other in like if other is not job)
        yield replace(job, rivals=rivals) if rivals and isinstance(job, Job) else job


def is_photo_job(job: object) -> TypeGuard[Job]:
    """Whether it is a photo that there is to color, and no film."""
    return isinstance(job, Job) and _suffix(job.name) in SUFFIXES


def rival_of(job: Job) -> Rival:
    """Return what other photos have to know of this one."""
    return Rival(str(job.source), str(job.target))


def stems_of(path: str) -> tuple[str, ...]:
    """Return the path of a result without its extension, and the same without a page's number."""
    stem, _ = _without_suffix(path)
    document = without_number(stem)
    return (stem, document) if document else (stem,)


def _suffix(name: str) -> str:
    return _without_suffix(name)[1].lower()


def _without_suffix(path: str) -> tuple[str, str]:
    """Return a path without its extension, and the extension."""
    return os.path.splitext(path)  # noqa: PTH122 - a storage lists millions; a path takes longer


def _listed(folder: Path, films: Mapping[str, str]) -> tuple[list[str], list[str], list[str]]:
    """Return the names of the folders, of the photos and films, and of the other files, sorted."""
    inner, photos, others = [], [], []
    with os.scandir(folder) as listing:
        for entry in sorted(listing, key=lambda entry: entry.name):
            if entry.name.startswith("."):
                continue
            if is_hidden(PurePath(entry.name)):
                others.append(entry.name)
            elif leads_to_folder(entry):
                inner.append(entry.name)
            elif (suffix := Path(entry.name).suffix.lower()) in SUFFIXES or suffix in films:
                photos.append(entry.name)
            else:
                others.append(entry.name)
    return inner, photos, others


def _kind_of_other(name: str) -> str:
    if is_hidden(PurePath(name)):
        return name
    return PurePath(name).suffix.lower() or "no extension"


def _unreadable(path: Path) -> str:
    """Say why ``path`` is no file that can be read without waiting for ever, or nothing."""
    try:
        if path.is_file():
            return ""
        is_broken = path.is_symlink() and not path.exists()
    except OSError as error:
        return f"could not be read ({error.strerror})"
    return "a link that leads nowhere" if is_broken else "not a regular file"


def _name(name: str, format: FormatName | None, films: Mapping[str, str] = NO_FILMS) -> str:
    """Give a name the extension of another format; one that the format has already stays."""
    path = Path(name)
    if (suffix := path.suffix.lower()) in films:
        return name if films[suffix] == suffix else f"{path.stem}{films[suffix]}"
    if format is None or suffix in BY_NAME[format].color_suffixes:
        return name
    return with_suffix(name, f".{format}")
