"""The content context consists of what is written, who approves it, and where it is published."""

from domain.content.distribution import DISTRIBUTION
from domain.content.item import CONTENT
from domain.content.processes import CONTENT_PIPELINE
from domain.context import Context

CONTEXT = Context(name="content", deciders=(CONTENT, DISTRIBUTION), processes=(CONTENT_PIPELINE,))
