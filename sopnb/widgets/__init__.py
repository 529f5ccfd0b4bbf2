"""Widgets over the view-models, for JupyterLab, Notebook and marimo; with the package ``anywidget`` installed.

They are loaded when they are first asked for: ``sopnb.browse``, ``sopnb.IndexBuilder``, ``sopnb.ImportWizard``, ``sopnb.History``.
"""

from sopnb.widgets.browser import Browser, browse

__all__ = ["Browser", "browse"]
