"""The border between the compiled lane and graphql-core, which runs whatever is beyond it."""


class NotCoveredError(Exception):
    """Raised while compiling: this operation always runs on graphql-core."""


class DeviationError(Exception):
    """Raised while running: this request is unusual or wrong, and graphql-core answers it.

    The compiled lane knows one way only: the one on which everything is right. It builds no
    errors of its own, so there is no second dialect to keep in step. (One exception: `failures`.)
    """
