"""The command that teaches a shell to complete the others: ``completion``."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands, options and their values.

    Values are those of the Passband that runs: our numbers, applications, faults in force; and error codes, sorts of
    faults, files.

    \b
    Examples, each for one shell:
      eval "$(passband completion bash)"                  in ~/.bashrc; bash 4.4 or later
      eval "$(passband completion zsh)"                   in ~/.zshrc, after compinit
      passband completion fish > ~/.config/fish/completions/passband.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    made = kind(context.find_root().command, {}, "passband", "_PASSBAND_COMPLETE")
    # Not by source(): for bash it asks which bash is installed here, and the script may be for another machine.
    click.echo(made.source_template % made.source_vars())
