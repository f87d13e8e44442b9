"""``reentra demo``: the whole way once, on real parts, with proof."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from reentra import clock as clocks
from reentra import errors
from reentra.cli import demo_history, demo_tenant
from reentra.cli.options import DEFAULT_OUTPUT, Output
from reentra.cli.screen import Screen, escaped, plural

if TYPE_CHECKING:
    from reentra.app import Application
    from reentra.cli.demo_mishap import Mishap
    from reentra.cli.demo_proof import Verdict
    from reentra.cli.demo_tenant import DemoTenant
    from reentra.jobs import TaskResult
    from reentra.restore.plan import RestorePlan

app = App(name="demo")

NAME = "contoso"
_SHOWN = 6  # examples of anything long
_DAYS = 7  # how long ago the story begins


@app.default
def demo(
    *,
    seed: Annotated[str, Parameter(help="The tenant: small is too small, medium, large.")] = (
        "medium"
    ),
    throttle: Annotated[str, Parameter(help="Graph's limits: off, real, or a factor.")] = "real",
    keep: Annotated[
        bool, Parameter(negative="", help="Keep the demo's folder, repository and all.")
    ] = False,
    serve: Annotated[bool, Parameter(help="Serve the pages in the end, until Ctrl-C.")] = True,
    port: Annotated[int, Parameter(help="The port of the pages; another one when it is taken.")] = (
        8440
    ),
    output: Output = DEFAULT_OUTPUT,
) -> int:
    """Watch a tenant be backed up, hit by a mishap, compared and restored, with proof.

    Everything is real but the tenant, which a sandbox of Microsoft Graph plays. It happens in a
    temporary folder; REENTRA_HOME is never touched. Exit code 1 when anything is not as promised.

    Example: reentra demo --keep
    """
    screen = Screen(as_json=output.json, has_plain_progress=False)
    folder = Path(tempfile.mkdtemp(prefix="reentra-demo-"))
    began = clocks.SYSTEM.monotonic_seconds()
    try:
        with contextlib.ExitStack() as closing:
            story = _Story(screen, folder, closing, seed, throttle, _open_port(port))
            verdict, document = story.tell()
            seconds = clocks.SYSTEM.monotonic_seconds() - began
            screen.say()
            if verdict.is_proven:
                screen.say(f"[bold green]Proven[/] in {seconds:.0f} s: what was lost came back.")
            else:
                screen.say(f"[bold red]Not as promised[/] after {seconds:.0f} s; see above.")
            if keep:
                screen.say(f"Everything is kept in {folder}")
            screen.result({"proven": verdict.is_proven, "seconds": round(seconds, 1), **document})
            if serve:
                story.serve()
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    return 0 if verdict.is_proven else 1


class _Story:
    """The demo, chapter by chapter."""

    def __init__(
        self,
        screen: Screen,
        folder: Path,
        closing: contextlib.ExitStack,
        seed: str,
        throttle: str,
        port: int,
    ) -> None:
        self._screen = screen
        self._folder = folder
        self._closing = closing
        self._seed = seed
        self._throttle = throttle
        self._port = port
        self._clock = demo_history.SetBackClock(dt.timedelta(days=_DAYS))
        self._application: Application | None = None
        self._chapter = 0

    def tell(self) -> tuple[Verdict, dict[str, Any]]:
        """Tell the whole story and return how it ended."""
        from reentra.cli import demo_mishap

        with self._chapter_of("A tenant, and a repository"):
            tenant = self._closing.enter_context(
                demo_tenant.serving(self._folder, self._seed, self._throttle)
            )
            application = self._application = self._set_up(tenant)
        with self._chapter_of("A week of backups, made with the clock set back"):
            self._live_through(application, tenant)
        with self._chapter_of("Today's backup, before the mishap"):
            first = self._back_up(application)
        with self._chapter_of("A mishap"):
            script = demo_tenant.Script(tenant)
            try:
                mishap = demo_mishap.happen(script)
            finally:
                script.close()
            for line in mishap.lines():
                self._screen.say(f"  [red]✗[/] {escaped(line)}")
        with self._chapter_of("The next backup reads only what changed"):
            second = self._back_up(application)
        with self._chapter_of("What happened?"):
            self._typed(f"reentra compare {NAME} {first} {second}")
            self._compare(application, first, second)
        with self._chapter_of("The restore: a plan first"):
            self._typed(
                f"reentra restore {NAME} --snapshot {first} --default-password-file password"
            )
            plan = self._plan(application, first)
        with self._chapter_of("A refusal: the tenant changed since the plan was made"):
            is_refused = self._refusal(application, tenant, plan, mishap)
            plan = self._make_plan(application, first)
            self._screen.say(f"  Plan [bold]{plan.id}[/] is made anew from the tenant as it is now")
        with self._chapter_of("The restore: applied"):
            result = self._apply(application, plan)
        with self._chapter_of("One more backup, and the proof"):
            third = self._back_up(application)
            verdict = self._prove(application, first, third, mishap, plan, result)
            if not is_refused:
                verdict.broken.append("a plan was applied although the tenant had changed")
        with self._chapter_of("A restore too many, and its undo"):
            from reentra.cli import demo_undo

            demo_undo.tell(self._screen, application, tenant, NAME, first, third, verdict)
        return verdict, {
            "snapshots": [first, second, third],
            "restore": dict(result.summary),
            "kept": verdict.kept,
            "broken": verdict.broken,
            "beyond_graph": {
                f"{kind}.{name}": count for (kind, name), count in verdict.beyond_graph.items()
            },
        }

    def serve(self) -> None:
        """Serve the pages on what the story left, until Ctrl-C or SIGTERM."""
        from reentra.access import EVERY_TENANT, Role
        from reentra.api.listening import Door
        from reentra.cli import acting, serve

        application = self._application
        assert application is not None
        # A password of this run alone; it goes with the folder.
        password = f"demo-{clocks.new_id(6)}"
        people = application.access.people
        _, secret = people.add(
            acting.actor(), serve.FIRST_PERSON, {EVERY_TENANT: Role.ADMINISTRATOR}
        )
        people.set_up(secret, password, "")

        def show(address: str) -> None:
            self._screen.say()
            self._screen.say(f"[bold cyan]The pages are at[/] [bold]{address}[/]")
            self._screen.say(
                f"  Sign in as [bold]{serve.FIRST_PERSON}[/] with the password [bold]{password}[/]"
            )
            self._screen.say(
                "  [dim]A demo: tenant, password and repository are gone when Ctrl-C ends it.[/]"
            )
            if self._screen.as_json:
                told = {"event": "serving", "url": address, "name": serve.FIRST_PERSON}
                print(json.dumps({**told, "password": password}), flush=True)

        serve.run(application, Door("127.0.0.1", self._port), show)

    def _live_through(self, application: Application, tenant: DemoTenant) -> None:
        script = demo_tenant.Script(tenant)
        try:
            history = demo_history.live_through(
                application, self._clock, self._screen, script, NAME, self._throttle
            )
        finally:
            script.close()
        self._typed(f'reentra schedule {NAME} "daily 02:30"')
        application.schedules.save(NAME, "daily 02:30", "UTC")
        self._screen.say(
            f"  {len(history.snapshots)} snapshots; one backup failed, because the tenant took no "
            f"token that day; the group {escaped(demo_history.GROUP)} came, changed and went"
        )

    @contextlib.contextmanager
    def _chapter_of(self, title: str) -> Iterator[None]:
        self._chapter += 1
        self._screen.say()
        self._screen.say(f"[bold cyan]{self._chapter}  {title}[/]")
        began = clocks.SYSTEM.monotonic_seconds()
        yield
        seconds = clocks.SYSTEM.monotonic_seconds() - began
        self._screen.say(f"  [dim]{seconds:.1f} s[/]")

    def _typed(self, command: str) -> None:
        self._screen.say(f"  [dim]$ {escaped(command)}[/]")

    def _set_up(self, tenant: DemoTenant) -> Application:
        from pydantic import SecretStr

        from reentra.app import Application
        from reentra.graph.connection import Cloud, TenantConnection
        from reentra.repository import Repository
        from reentra.settings import Settings

        passphrase = clocks.new_id(16)
        chosen = Settings(
            home=self._folder / "home",
            repository="",
            database_url="",
            passphrase=SecretStr(passphrase),
            passphrase_file=None,
            public_url=f"http://127.0.0.1:{self._port}",
        )
        application = self._closing.enter_context(
            Application(chosen, lambda: passphrase, clock=self._clock)
        )
        url = str(chosen.default_repository_path)
        self._typed("reentra sandbox serve --seed medium")
        self._screen.say(f"  An imitation of Microsoft Graph listens at {tenant.url}")
        self._typed("reentra init")
        Repository.create(application.storage(url), passphrase)
        application.record_repository(url)
        self._typed(
            f"reentra tenant connect {NAME} --tenant-id {tenant.tenant_id[:8]}... --client-id ... "
            "--client-secret-file secret"
        )
        application.connections.add(
            TenantConnection(
                name=NAME,
                tenant_id=tenant.tenant_id,
                client_id=tenant.client_id,
                cloud=Cloud.CUSTOM,
                graph_endpoint=tenant.url,
                authority=tenant.url,
            ),
            tenant.secret_file.read_text(encoding="utf-8").strip(),
        )
        return application

    def _back_up(self, application: Application) -> str:
        from reentra.cli import running

        self._typed(f"reentra backup {NAME}")
        _, result = running.run(application, self._screen, "backup", tenant=NAME)
        summary = result.summary
        totals = {
            word: sum(kind[word] for kind in summary["kinds"].values())
            for word in ("objects", "added", "changed", "deleted")
        }
        links = summary.get("relationships", {}).values()
        added = sum(item["added"] for item in links)
        removed = sum(item["removed"] for item in links)
        self._screen.say(
            f"  Snapshot [bold]{summary['snapshot']}[/] is {summary['status']}: "
            f"{totals['objects']:,} objects; {totals['added']:,} new, {totals['changed']:,} "
            f"changed, {totals['deleted']:,} gone; {added:,} links added, {removed:,} removed"
        )
        for note in summary.get("review", ()):
            self._screen.say(f"  [yellow]![/] {escaped(note)}")
        uncovered = {
            name: item
            for name, item in (summary["kinds"] | summary["relationships"]).items()
            if item["coverage"] != "complete"
        }
        for name, item in uncovered.items():
            self._screen.say(f"  [yellow]![/] Not covered: {name}. {escaped(item['reason'])}")
        holes = {name for name, item in uncovered.items() if item["coverage"] != "refused"}
        if holes or demo_history.WITHHELD_KIND not in uncovered:
            found = ", ".join(sorted(holes)) or "none where one is due"
            raise errors.Error(
                f"The demo's backup has holes: {found}.", hint="The sandbox lacks something."
            )
        return str(summary["snapshot"])

    def _compare(self, application: Application, before: str, after: str) -> None:
        from reentra.cli import compare

        found = compare.comparison(application, self._screen, NAME, before, after)
        tally: compare.Tally = {}
        for change in found:
            compare.count(tally, change)
            seen = tally[change.kind][change.change.value]
            if seen <= (1 if len(change.relationships) > _SHOWN else 2):
                short = _shortened(change)
                compare.show_change(self._screen, short)
                hidden = len(change.relationships) - len(short.relationships)
                if hidden:
                    self._screen.say(f"    [dim]... and {plural(hidden, 'more link')}[/]")
        compare.show_counts(self._screen, found, tally)

    def _plan(self, application: Application, snapshot: str) -> RestorePlan:
        from reentra.cli import plans

        plan = self._make_plan(application, snapshot)
        plans.show(self._screen, plan, None)
        return plan

    def _make_plan(self, application: Application, snapshot: str) -> RestorePlan:
        from reentra.directory.selection import EVERYTHING
        from reentra.restore.draft import RestoreOptions
        from reentra.tasks import make_plan

        with self._screen.progress() as listener:
            return make_plan(application, NAME, snapshot, EVERYTHING, RestoreOptions(), listener)

    def _refusal(
        self, application: Application, tenant: DemoTenant, plan: RestorePlan, mishap: Mishap
    ) -> bool:
        """Let a colleague change something, try the old plan, and tell whether it was refused."""
        from reentra.cli import running
        from reentra.tasks import keep_plan

        self._screen.say("  Meanwhile a colleague puts one of the departments right by hand.")
        script = demo_tenant.Script(tenant)
        try:
            body = {"department": "Put right by hand"}
            script.send_all([("PATCH", f"/users/{mishap.blanked[0]}", body)])
        finally:
            script.close()
        self._typed(f"reentra restore {NAME} --plan plan.json --yes")
        keep_plan(application, plan)
        try:
            running.run(
                application,
                self._screen,
                "restore",
                tenant=NAME,
                parameters={"plan": plan.id},
                default_password=f"Demo-{clocks.new_id(8)}",
            )
        except errors.StalePlan as refusal:
            self._screen.say(f"  [red]Refused:[/] {escaped(refusal.message)}")
            self._screen.say(f"  {escaped(refusal.hint)} Nothing was written.")
            return True
        return False

    def _apply(self, application: Application, plan: RestorePlan) -> TaskResult:
        from reentra.cli import running
        from reentra.tasks import keep_plan

        keep_plan(application, plan)
        job_id, result = running.run(
            application,
            self._screen,
            "restore",
            tenant=NAME,
            parameters={"plan": plan.id},
            default_password=f"Demo-{clocks.new_id(8)}",
        )
        running.show_result(self._screen, job_id, "restore", result)
        return result

    def _prove(
        self,
        application: Application,
        first: str,
        third: str,
        mishap: Mishap,
        plan: RestorePlan,
        result: TaskResult,
    ) -> Verdict:
        from reentra.cli import compare, demo_proof, viewing

        self._typed(f"reentra compare {NAME} {first} {third}")
        found = compare.comparison(application, self._screen, NAME, first, third)
        seen = viewing.open_snapshot(application, self._screen, NAME, third)
        verdict = demo_proof.judge(
            found,
            mishap,
            result.summary["id_map"],
            seen.state,
            declared={(item.ref.kind, item.ref.id, item.what) for item in plan.unrestorable},
            is_second_plan_empty=self._make_plan(application, first).is_empty,
        )
        if result.summary["status"] != "succeeded":
            verdict.broken.append(f"the restore ended as {result.summary['status']}")
        for sentence in verdict.kept:
            self._screen.say(f"  [green]✓[/] {escaped(sentence)}")
        for sentence in verdict.broken:
            self._screen.say(f"  [red]✗[/] {escaped(sentence)}")
        self._screen.say("  New ids, which the repository remembers:")
        names = seen.state.load_names(sorted(result.summary["id_map"].values()))
        for old, new in list(result.summary["id_map"].items())[:_SHOWN]:
            kind, name = names.get(new, ("", ""))
            self._screen.say(f"    {escaped(name)} [dim]{kind} {old} -> {new}[/]")
        if verdict.beyond_graph:
            told = ", ".join(
                f"{name} of {plural(count, kind)}"
                for (kind, name), count in sorted(verdict.beyond_graph.items())
            )
            self._screen.say(f"  What Graph gives back to nobody: {told}; and the passwords")
        return verdict


def _open_port(wanted: int) -> int:
    """Return the port when nobody listens on it, and otherwise a free one."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    return wanted


def _shortened(change: Any) -> Any:
    import dataclasses

    return dataclasses.replace(change, relationships=change.relationships[:_SHOWN])
