"""The classes that a user of TenSEAL sees: argument forms, shapes and errors; the schemes below do the arithmetic."""
