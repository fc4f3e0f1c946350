"""`factline asyncapi` prints the description of the topics, and of the WebSocket, that others may read."""

from importlib.metadata import version

import click

from infra.cli.shown import print_json
from streams.asyncapi import asyncapi as document
from streams.topics import DEFAULT_PARTITIONS, DEFAULT_PREFIX, Topics


@click.command()
@click.option(
    "--prefix", envvar="FACTLINE_TOPIC_PREFIX", default=DEFAULT_PREFIX, show_default=True, help="Of the topics."
)
@click.option(
    "--partitions",
    type=click.IntRange(min=1),
    envvar="FACTLINE_PARTITIONS",
    default=DEFAULT_PARTITIONS,
    show_default=True,
    help="Of each topic.",
)
def asyncapi(prefix: str, partitions: int) -> None:
    """Print the AsyncAPI 3.0 document: the topics of events and telemetry, and the WebSocket of live streams.

    \b
    factline asyncapi > asyncapi.json
    """
    print_json(document(Topics(prefix, partitions), version("factline")))
