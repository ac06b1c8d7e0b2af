"""A network leaves archdsl: as a file or folder for another program, read again and compared before it is there."""
