"""Where the repository is: GitHub or GitLab, and what is said there of a change, in one comment or one issue.

Both are found again by a hidden marker in their first line, and edited in place. Only what was written by the identity
that writes now is ever touched: whoever copies the marker gets nothing edited.
"""

from gpuprov.forge.environment import open_forge
from gpuprov.forge.note import Done, Forge, put_comment, put_issue

__all__ = ["Done", "Forge", "open_forge", "put_comment", "put_issue"]
