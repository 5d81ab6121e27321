"""A Docker credential helper for Amazon ECR."""

__version__ = "1.0.0"
