"""The border between compiled operations and graphql-core, which runs whatever is beyond it."""


class NotCoveredError(Exception):
    """Raised while compiling: this operation always runs on graphql-core."""


class DeviationError(Exception):
    """Raised while running: this request is unusual or wrong, and graphql-core answers it.

    Compiled operations know one way only: the one on which everything is right. They build no
    errors of their own, so there is no second dialect to keep in step. (One exception: `refusal`.)
    """
