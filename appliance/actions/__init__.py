"""What commands of `luna` do, one module a command."""
