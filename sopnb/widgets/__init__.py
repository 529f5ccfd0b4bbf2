"""Widgets over the view-models, for JupyterLab, Notebook and marimo; with the package ``anywidget`` installed.

They are loaded when they are first asked for: ``sopnb.browse``, ``sopnb.IndexBuilder``, ``sopnb.ImportWizard``, ``sopnb.History``.
"""

from sopnb.widgets.browser import Browser, browse
from sopnb.widgets.builder import IndexBuilder
from sopnb.widgets.history import History
from sopnb.widgets.wizard import ImportWizard

__all__ = ["Browser", "History", "ImportWizard", "IndexBuilder", "browse"]
