"""The page at /docs in a real browser: it asks nobody but its server, says no error, and its forms work."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect, sync_playwright

from tests.e2e.processes import environment, flow

WAIT_MS = 20_000  # two shared cores; each wait is for something that comes within a second
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip


class Visit:
    """An open page, what it asked for, and what it said on the console."""

    def __init__(self, page: Page, url: str, key: str) -> None:
        self.page = page
        self.url = url
        self.key = key
        self.asked: list[str] = []
        self.said: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.said.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.said.append(message.text)

    def send(self, operation_id: str, **values: str) -> str:
        """Fill the form of an operation, send it; gives its status line."""
        form = self.page.locator(f"#{operation_id} form")
        for name, value in values.items():
            form.locator(f"[name='{name}']").fill(value)
        form.get_by_role("button", name="Send").click()
        status = form.locator(".status")
        expect(status).to_contain_text(" ms", timeout=WAIT_MS)
        return status.text_content() or ""

    def shown(self, operation_id: str, part: str) -> str:
        """Give what a form shows of its answer."""
        return self.page.locator(f"#{operation_id} .result .{part}").text_content() or ""


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """A browser at the page of a server of its own."""
    program = shutil.which("chromium")
    assert program is not None, "chromium is missing: .ci/programs installs it"
    data = tmp_path_factory.mktemp("page") / "data"
    with flow("serve", given=environment(data)) as server, sync_playwright() as playwright:
        key = server.wait_for(r"(flow_\w+)").group(1)
        url = server.wait_for(r"^API docs +(http://\S+)").group(1)
        with playwright.chromium.launch(executable_path=program, headless=True, args=ARGUMENTS) as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            visited = Visit(page, url, key)
            page.goto(url)
            yield visited
        server.end(signal.SIGTERM)


def test_page_opened_asks_only_for_itself_and_says_no_error(visit: Visit) -> None:
    assert visit.page.title().startswith("Flow Automation API ")
    assert [visit.url] == visit.asked[:1]
    origin = visit.url.split("/api/")[0]
    assert [] == [url for url in visit.asked if not url.startswith(f"{origin}/")]
    assert [] == visit.said


def test_every_operation_of_the_document_has_a_form_on_the_page(visit: Visit) -> None:
    origin = visit.url.removesuffix("/docs")
    document = visit.page.request.get(f"{origin}/schemas/openapi.json").json()
    ids = {operation["operationId"] for methods in document["paths"].values() for operation in methods.values()}
    forms = {form.get_attribute("id") for form in visit.page.locator("article:has(form)").all()}
    assert ids == forms


def test_form_without_a_key_shows_the_refusal(visit: Visit) -> None:
    visit.page.locator("#key").fill("")
    assert visit.send("listDags").startswith("401 ")
    assert "unauthenticated" == json.loads(visit.shown("listDags", "body"))["code"]
    visit.said.clear()  # the browser itself notes an answer of 401 as an error


def test_example_sent_from_the_page_creates_a_dag_that_the_page_runs(visit: Visit) -> None:
    visit.page.locator("#key").fill(visit.key)
    assert visit.send("createDag").startswith("201 ")
    dag_id = json.loads(visit.shown("createDag", "body"))["id"]
    assert visit.send("runDag", dag_id=dag_id, wait="30").startswith("200 ")
    assert {"text": "Hello world"} == json.loads(visit.shown("runDag", "body"))["outputs"]
    assert visit.key not in visit.shown("runDag", "curl")
    assert [] == visit.said


def test_filter_leaves_what_was_asked_for(visit: Visit) -> None:
    visit.page.locator("#filter").fill("post run")
    seen = [entry.text_content() or "" for entry in visit.page.locator("nav li:visible").all()]
    assert seen
    assert [] == [text for text in seen if "POST" not in text or "run" not in text]
    visit.page.locator("#filter").fill("")


def test_policy_lets_no_other_script_run(visit: Visit) -> None:
    answer = visit.page.request.get(visit.url)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "connect-src 'self'" in policy
    visit.page.evaluate("() => { const made = document.createElement('script'); made.textContent = 'document.title = 1';"
                        " document.body.append(made); }")  # fmt: skip
    assert "1" != visit.page.title()
