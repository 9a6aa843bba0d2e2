"""The subcommands of `scansion`, a file for each."""
