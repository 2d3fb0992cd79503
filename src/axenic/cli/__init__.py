"""The command line: one file per verb. A verb parses, makes one public call, and prints what came of it."""
