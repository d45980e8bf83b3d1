# SPDX-License-Identifier: Apache-2.0
"""What `heliograph verify` is asked, and how it is answered for many files, by one process or several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hub.errors import Language

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.tlog import TrustPolicy
    from hub.trust import TrustLists, Use, UsePolicy, VerificationReport
    from hub.verifier import Reader

_ENDINGS = (".asice", ".pdf", ".zip")
_FILES_A_TASK = 32
_Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Question:
    """What files are held to; it travels to other processes.

    Attributes:
        lists: the folder of trust lists, the PEM certificate of who signs them, or an unsigned list.
        revocation: folder of stored answers.
        log_policy: which log and witnesses are trusted.
        leaf: the entry a proof file is for.
        hub: who must have signed a bundle's receipts.
        at: UTC; the instant of verification.
        also_allowed: ids of algorithms that are off by default.
        language: of what is told.
    """

    lists: tuple[Path | None, Path | None, Path | None]
    revocation: Path | None
    log_policy: Path | None
    leaf: Path | None
    hub: str | None
    at: datetime
    also_allowed: tuple[str, ...]
    language: Language

    def check(self) -> None:
        """Refuse options that cannot be used, before any file is looked at.

        Raises:
            LogError: `log.policy_invalid`.
        """
        self._policies()
        self._policy()

    def verifier(self, tell_progress: _Progress | None = None) -> Callable[[Path], VerificationReport]:
        """Return what verifies one file after another, and remembers the signers it met."""
        from hub.documents import verify_document
        from hub.tlog import PROOF_FILE_SUFFIX
        from hub.verifier import Verifier, is_bundle, verify_bundle, verify_proof_file

        made: list[Verifier] = []

        def verify(file: Path) -> VerificationReport:
            if file.suffix == PROOF_FILE_SUFFIX:
                if self.leaf is None:
                    raise typer.BadParameter("a .tlog-proof file needs --leaf, the entry it is for")
                return verify_proof_file(
                    file.read_bytes(), self.leaf.read_bytes(), self._policy(), subject=file.name
                )
            if is_bundle(file):
                return verify_bundle(file, self._reader(tell_progress), at=self.at, subject=file.name)
            if not made:
                lists = chosen_trust_lists(*self.lists)
                made.append(
                    Verifier(
                        lists, self.revocation, verify_document=verify_document, policies=self._policies()
                    )
                )
            return made[0].verify(file, at=self.at)

        return verify

    def _reader(self, tell_progress: _Progress | None) -> Reader:
        from hub.trust import refusal
        from hub.trustlist import check_history, open_trust_list, read_pinned
        from hub.verifier import Reader

        signer = self.lists[1]
        if signer is None:
            raise refusal("list_signer_not_pinned", problem="--trust-list-signer is missing")
        pinned = read_pinned(signer)

        def read_trust_lists(containers: Sequence[bytes]) -> TrustLists:
            return check_history([open_trust_list(raw) for raw in containers], pinned)

        return Reader(
            read_trust_lists=read_trust_lists,
            policy=self._policy(),
            policies=self._policies(),
            hub=self.hub,
            tell_progress=tell_progress,
        )

    def _policy(self) -> TrustPolicy | None:
        from hub.errors import LogError
        from hub.tlog import TrustPolicy

        if self.log_policy is None:
            return None
        try:
            return TrustPolicy.decode(self.log_policy.read_bytes())
        except OSError as exc:
            raise LogError("log.policy_invalid", f"{self.log_policy.name} cannot be read") from exc

    def _policies(self) -> Mapping[Use, UsePolicy]:
        from hub.trust import algorithm_named, known_algorithm, policies_allowing

        try:
            return policies_allowing([algorithm_named(known_algorithm(each)) for each in self.also_allowed])
        except ValueError as error:
            raise typer.BadParameter(f"--also-allow {error}") from error


def chosen_trust_lists(folder: Path | None, signer: Path | None, unsigned: Path | None) -> TrustLists:
    """Read the trust lists a command was given.

    Raises:
        TrustError: they cannot be used.
    """
    from hub.trust import refusal
    from hub.trustlist import read_pinned, read_trust_lists, read_unsafe_unsigned_list

    if unsigned is not None and folder is None:
        return read_unsafe_unsigned_list(unsigned)
    if folder is None or unsigned is not None:
        raise typer.BadParameter("give either --trust-list or --unsafe-unsigned-list")
    if signer is None:
        raise refusal("list_signer_not_pinned", problem="--trust-list-signer is missing")
    return read_trust_lists(folder, read_pinned(signer))


@dataclass(frozen=True)
class _Outcome:
    """What is told of one file among many: a line of JSON, or text."""

    is_valid: bool
    told: str


def verify_many(paths: Iterable[Path], question: Question, processes: int, *, as_json: bool) -> bool:
    """Verify files and folders of files, tell each as it is done, and say how many hold.

    Returns whether all do; no file at all is not valid.
    """
    files = [file for path in paths for file in _files_in(path)]
    valid = 0
    with _bar("files 文件") as advance:
        for done, outcome in enumerate(_outcomes(files, question, processes, as_json=as_json), start=1):
            valid += outcome.is_valid
            typer.echo(outcome.told)
            advance(done, len(files))
    words = {
        Language.EN: f"{valid} of {len(files)} files are valid",
        Language.ZH: f"{len(files)}个文件中{valid}个有效",
    }
    typer.echo(words[question.language], err=as_json)
    return bool(files) and valid == len(files)


def _files_in(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix.lower() in _ENDINGS and file.is_file())


def _outcomes(
    files: Sequence[Path], question: Question, processes: int, *, as_json: bool
) -> Iterator[_Outcome]:
    tasks = [files[start : start + _FILES_A_TASK] for start in range(0, len(files), _FILES_A_TASK)]
    if processes == 1 or len(tasks) < 2:
        verify = question.verifier()
        yield from (_outcome(verify, file, question.language, as_json=as_json) for file in files)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # Started anew, since a fork would carry over locks that other threads hold.
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin, (question, as_json)) as pool:
        for outcomes in pool.map(_verify_some, tasks):
            yield from outcomes


_mine: list[Callable[[Path], _Outcome]] = []


def _begin(question: Question, as_json: bool) -> None:  # noqa: FBT001 - the pool hands over positions
    """Make a process's verifier, once."""
    verify = question.verifier()
    _mine[:] = [lambda file: _outcome(verify, file, question.language, as_json=as_json)]


def _verify_some(files: Sequence[Path]) -> list[_Outcome]:
    return [_mine[0](file) for file in files]


def _outcome(
    verify: Callable[[Path], VerificationReport], file: Path, language: Language, *, as_json: bool
) -> _Outcome:
    import json

    from hub.verifier import render_report, report_to_json

    report = verify(file)
    if as_json:
        shown = report_to_json(report) | {"subject": str(file)}
        return _Outcome(report.is_valid, json.dumps(shown, ensure_ascii=False))
    text = render_report(report, language)
    return _Outcome(report.is_valid, text.split("\n", 1)[0] if report.is_valid else text)


@contextmanager
def exchange_progress() -> Iterator[_Progress]:
    """Show how many exchanges of a bundle are done."""
    with _bar("exchanges 交换") as advance:
        yield advance


@contextmanager
def _bar(name: str) -> Iterator[_Progress]:
    """Show a bar on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, most: progress.update(task, completed=done, total=most)
