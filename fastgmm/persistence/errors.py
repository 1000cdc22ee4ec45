"""What is raised for a file that is no model."""

__all__ = ["ModelFileError"]


class ModelFileError(ValueError):
    """A file is not a fastgmm model, or not a whole one."""
