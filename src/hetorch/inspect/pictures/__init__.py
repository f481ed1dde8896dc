"""Pictures of a trace with matplotlib, which is asked for when the first one is drawn; one file has one picture."""
