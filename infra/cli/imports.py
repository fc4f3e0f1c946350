"""`factline import` brings in invoices, metrics and logs from files, and says what became of every row."""

import click

from infra.cli.groups import Lazy

_MODULES = {
    "invoices": ("infra.cli.import_invoices", "invoices"),
    "logs": ("infra.cli.import_logs", "logs"),
    "metrics": ("infra.cli.import_metrics", "metrics"),
}


@click.group("import", cls=Lazy, modules=_MODULES)
def import_() -> None:
    """Bring in invoices, metrics and logs from files.

    A server takes them: the one that --url or --server names, else that of FACTLINE_URL (http://127.0.0.1:8080 if it
    is not set), with the API key of --api-key-file or FACTLINE_API_KEY. With --data-dir they go into a directory
    without a server.

    What is imported already is counted as repeated and not recorded again. Rows that are refused are written to
    FILE.refused.csv, with line number and reason; the exit status is then 1. It is 2 where a file or the server
    cannot be used.

    \b
    factline import invoices 2010-12-*.csv --tenant demo
    factline import metrics cpu.csv --tenant demo --device web-1 --metric cpu_percent --unit percent
    factline import logs auth.log --tenant demo --device web-1
    """
