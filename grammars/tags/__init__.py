"""Structural tags: free text with grammars in it, and tool calls as chat models write them.

triggers, tags ── free_text ──▶ what may stand between them: a complement
               ── dispatch ──▶ free text and structured parts, taking turns
tagged       `tags` and `Tag`, the form in which Python programs say it
structural   the dictionaries in which vLLM, SGLang and xgrammar have it
calls        function schemas, and how the chat formats write a call of them
"""

from grammars.tags.calls import tool_calls, tool_markers
from grammars.tags.structural import structural_tag
from grammars.tags.tagged import Tag, tags
from grammars.tags.tools import Tool

__all__ = ["Tag", "Tool", "structural_tag", "tags", "tool_calls", "tool_markers"]
