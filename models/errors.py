"""What every error has in common that the user or the machine can mend."""


class UserError(Exception):
    """Said in a sentence, without a traceback: it names what is wrong and the way out.

    Attributes:
        exit_code: Of a command that ends with it. 1: the work could not be done, or a
            chain is refused; 2: bad input; 3: another build, which cannot judge.
    """

    exit_code = 1


class InputError(UserError):
    """What was given cannot be used; the message says what is allowed."""

    exit_code = 2
