"""`farm jobs`."""

import typer

app = typer.Typer(help="Jobs: list, show, watch, cancel, retry, remove.", no_args_is_help=True)


@app.command("list")
def list_jobs() -> None:
    """List jobs, newest first."""
