# SPDX-License-Identifier: Apache-2.0
"""A sample: the system is asked once, or an answer it gave is brought along."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from adapters.console.problems import status_of
from adapters.ports import DeferredError
from adapters.wizard.pages import Call, Desk, Page
from adapters.wizard.samples import MOST_SAMPLE_BYTES
from hub.errors import AdapterError, HubError

if TYPE_CHECKING:
    from starlette.responses import Response

    from adapters.wizard.drafts import Draft, KeptDraft
    from adapters.wizard.samples import Samples


@dataclass(frozen=True, kw_only=True)
class SamplePages:
    """The page of the samples."""

    desk: Desk
    samples: Samples

    def pages(self) -> tuple[Page, ...]:
        """Return the page."""
        return (
            Page(path="/drafts/{draft}/sample", answer=self.show),
            Page(
                path="/drafts/{draft}/sample",
                answer=self.take,
                method="POST",
                takes_files=True,
                most_bytes=3 * MOST_SAMPLE_BYTES,
            ),
        )

    def show(self, call: Call) -> Response:
        """Show both samples."""
        return self._shown(call, self.desk.find(call))

    def take(self, call: Call) -> Response:
        """Ask the system with the sample, or keep what was brought."""
        kept = self.desk.find_as_seen(call)
        try:
            draft = self._sampled(call, kept.draft)
        except HubError as error:
            return self._shown(call, kept, error)
        except DeferredError as error:
            return self._shown(call, kept, AdapterError("adapter.sample_invalid", f"deferred: {error}"))
        kept = self.desk.keep(call, kept, draft, step="sample")
        if call.form.get("do") == "on":
            return self.desk.lead_to(call, kept, "answer")
        return self.desk.lead_to(call, kept, "sample", "#sample-answer")

    def _sampled(self, call: Call, draft: Draft) -> Draft:
        draft = replace(draft, sample_request=call.form.get("request", ""))
        self.samples.require_object(draft.sample_request)
        if call.form.get("do") == "ask":
            return replace(draft, sample_answer=self.samples.ask(draft, call.signed_in.administrator))
        brought = next((file.content for file in call.files if file.chosen_in == "file"), None)
        text = call.form.get("answer", "") if brought is None else _text(brought)
        if text.strip() and self.samples.read(text) is None and text.strip() != "null":
            raise AdapterError("adapter.sample_invalid", "the answer is not JSON")
        return replace(draft, sample_answer=text)

    def _shown(self, call: Call, kept: KeptDraft, error: HubError | None = None) -> Response:
        return call.render(
            "sample.html",
            status=status_of(error) if error else 200,
            error=error,
            kept=kept,
            step="sample",
            request=call.form.get("request", kept.draft.sample_request),
            answer=call.form.get("answer", kept.draft.sample_answer),
        )


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise AdapterError("adapter.sample_invalid", "the file is not UTF-8") from exc
