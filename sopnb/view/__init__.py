"""The view-model of the browser of stores: what it shows and what edits wait in it, as messages of plain JSON values.

A transport hands each message to ``View.handle`` and sends back what it returns: ``{"id": 7, "op": "page", "args": {...}}`` is answered
by ``{"id": 7, "ok": {...}}`` or ``{"id": 7, "error": {"code": ..., "message": ...}}``. Codes say what to do next: invalid (mend the input;
``column`` names where), stale (others changed the record; ``theirs`` beside ``mine``), conflict, missing, locked, closed, busy, cancelled,
internal.

No message waits long for another. Under a condition page, count and seek look for a while only: where ``searched`` is a share of the
records, and not null, they tell what was found so far, and the same message asked again goes on from there. What takes as long as the
data is large (``view.TASKS``) is answered beside other messages: a transport handles it in a thread of its own, tells how far it is by
progress and ends it early by cancel, both with the message's id as ``of``.

===================================================  =============================================================================
ops                                                  where
===================================================  =============================================================================
open, tree, schema, poll                             ``tree``: stores, columns, orders, what changed
page, count, seek                                    ``query``, ``page``, ``passing``: rows by position, totals, where a key stands
value                                                one value, whole; ``wire`` says how values go over the wire
edit, insert, delete, paste                          ``editing``: a record by its key (``token``) and the commit that wrote it
pending, discard, resolve, commit, rollback          ``pending``, ``change``: what waits, and the transaction that shows it
suggest, index.fields, index.sample, index.check,    ``specifications``, ``data``: keys and indexes in the making
index.expression, index.create
log, diff, revert                                    ``past``
import.preview, import.run, export                   ``importing``, ``exporting``
watch                                                for the transport: ``View.watching``, ``View.changed_since``
progress, cancel                                     ``task``: how far work is that takes long, and its end
===================================================  =============================================================================
"""

from sopnb.view.view import TASKS, View

__all__ = ["TASKS", "View"]
