"""The command line: its grammar, its global flags, and how errors become messages and exit codes."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from rollout import __version__
from rollout.cli.exit_codes import MEANINGS, Exit

# Verbs are imported when they are called: `rollout --help` must not pay for a web server.
VERBS = {
    "start": "rollout.cli.orders",
    "approve": "rollout.cli.orders",
    "pause": "rollout.cli.orders",
    "resume": "rollout.cli.orders",
    "promote": "rollout.cli.orders",
    "abort": "rollout.cli.orders",
    "retry": "rollout.cli.orders",
    "undo": "rollout.cli.orders",
    "get": "rollout.cli.looks",
    "status": "rollout.cli.looks",
    "history": "rollout.cli.looks",
    "explain": "rollout.cli.looks",
    "events": "rollout.cli.looks",
    "validate": "rollout.cli.plans",
    "simulate": "rollout.cli.simulation",
    "demo": "rollout.cli.demo",
    "mesh": "rollout.cli.mesh",
    "serve": "rollout.cli.serve",
    "crds": "rollout.cli.crds",
}
SUMMARIES = {
    "start": "Release a service: move its traffic to another version",
    "approve": "Open the gate a rollout waits at",
    "pause": "Hold a rollout where it is",
    "resume": "Go on with a paused rollout",
    "promote": "Skip the rest of a step, or of everything",
    "abort": "Take all traffic back to the stable version",
    "retry": "Start a rollout that failed once more",
    "undo": "Return to the version before the last promotion",
    "get": "Show rollouts; -w for the live view",
    "status": "Wait for a rollout to end; the exit code says how",
    "history": "Earlier rollouts of a service",
    "explain": "Why each step passed or failed, with the numbers",
    "events": "The journal of a rollout",
    "validate": "Check a RolloutPlan file without a daemon",
    "simulate": "Run a plan many times in a made-up world, before users meet it",
    "demo": "See a good release promoted and a bad one taken back, on this machine",
    "mesh": "Serve Istio documents with a real Envoy on this machine",
    "serve": "Run the daemon",
    "crds": "Print what a cluster has to know: the CustomResourceDefinitions",
}
EXIT_CODES = "\n".join(f"  {code.value:<3} {text}" for code, text in MEANINGS.items())


class LazyGroup(click.Group):
    """Knows the verbs' names and summaries without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order a newcomer meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module and take the command from it."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = getattr(import_module(VERBS[cmd_name]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in VERBS])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest verb for a mistyped one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            if near:
                raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from None
            raise


@click.group(
    cls=LazyGroup,
    epilog="Exit codes: rollout help-exit-codes. Every verb explains itself: rollout VERB --help",
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "ROLLOUT", "max_content_width": 100},
)
@click.version_option(__version__, prog_name="rollout")
@click.option(
    "--server", default="http://127.0.0.1:8383", show_default=True, show_envvar=True, help="The daemon's address."
)
@click.option("--token-file", type=click.Path(dir_okay=False), show_envvar=True, help="File with the API token.")
@click.option(
    "-n",
    "--namespace",
    default="",
    show_envvar=True,
    help="The service's namespace, where several have one of that name.",
)
@click.option("--no-color", is_flag=True, help="No colours (NO_COLOR does the same).")
@click.option("--actor", default="", help="Who is asking; your login name unless said otherwise.")
@click.pass_context
def cli(ctx: click.Context, server: str, token_file: str | None, namespace: str, no_color: bool, actor: str) -> None:
    """Progressive delivery: move a service's traffic from its stable to its canary version, step by step, on evidence.

    \b
    See it work:     rollout demo
    Release:         rollout start reviews --to v3
    Watch:           rollout get reviews -w
    Ask why:         rollout explain reviews
    """
    from rollout.cli.session import Session

    ctx.obj = Session(server=server, token_file=token_file, namespace=namespace, color=not no_color, actor=actor)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; no traceback reaches a person for what a person can mend."""
    from rollout.cli.client import Failed

    try:
        result: Any = cli.main(list(arguments), prog_name="rollout", standalone_mode=False)
        return int(result) if isinstance(result, int) else Exit.OK
    except Failed as error:
        click.echo(f"error: {error}", err=True)
        if error.hint:
            click.echo(f"  try: {error.hint}", err=True)
        return error.code
    except click.UsageError as error:
        error.show()
        return Exit.USAGE
    except click.ClickException as error:
        error.show()
        return Exit.ERROR
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left (| head): nothing more to say
        return Exit.OK


def main() -> None:
    """The console script."""
    if sys.argv[1:] in (["help", "exit-codes"], ["help-exit-codes"]):
        click.echo(EXIT_CODES)
        sys.exit(Exit.OK)
    sys.exit(run(sys.argv[1:]))
