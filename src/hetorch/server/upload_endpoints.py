"""The endpoints of uploads in pieces, and of a tenant's stored keys."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from hetorch.errors import WireError
from hetorch.server.access import check_model, check_tenant, token_of
from hetorch.server.body import check_content_type, receive_body
from hetorch.server.refusal import Refusal
from hetorch.server.settings import Settings
from hetorch.server.tokens import ANYONE
from hetorch.serving.errors import KeysMissing, UploadUnknown
from hetorch.serving.keys.catalogue import UploadEntry
from hetorch.serving.keys.stored_kinds import ANY_TENANT, StoredKind
from hetorch.serving.keys.upload_activity import Writer
from hetorch.serving.models import ServedModel
from hetorch.serving.service import Service, weight_kind
from hetorch.wire import addresses
from hetorch.wire.addresses import JSON, UPLOAD_OFFSET_HEADER
from hetorch.wire.answers import KEY_ID, dump_key_id
from hetorch.wire.codes import Code
from hetorch.wire.limits import MAX_UPLOAD_REQUEST_BYTES
from hetorch.wire.uploads import (
    KEYS,
    UPLOAD_ID,
    StoredKeyEntry,
    UploadState,
    dump_stored_keys,
    dump_upload_state,
    load_offset,
    load_upload_request,
)

PIECE_BYTES = 1 << 20
"""Bytes of an upload that are written at a time, and held in memory for each request. Raised, the disk is asked less
often and requests take more memory."""
REFUSED_BYTES = 8 << 20
"""Bytes of the rest of a request that are read after its upload was found malformed: a client that is still sending
loses the answer when the connection is closed. The client sends fewer in one request; raised, more is read for
nothing."""
MAX_LISTED = 256
"""Most keys that a list shows, the most recently used ones; it must fit MAX_ANSWER_BYTES."""


class UploadEndpoints:
    """The endpoints, over one service."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self._service = service
        self._settings = settings

    async def begin_upload(self, request: Request) -> Response:
        """Answer POST /v1/models/{name}/uploads: begin an upload, or find the one of the same bytes."""
        model = self._model(request, request.path_params["name"])
        body = bytearray()

        async def take(piece: bytes) -> None:
            body.extend(piece)

        await receive_body(
            request,
            take,
            smallest=2,
            largest=MAX_UPLOAD_REQUEST_BYTES,
            what="a request to begin an upload",
            idle_timeout=self._settings.idle_timeout,
        )
        asked = load_upload_request(bytes(body))
        kind: StoredKind[object] = model.key_kind if asked.kind == KEYS else weight_kind(model)
        upload, offset = await asyncio.to_thread(
            self._service.uploads.begin, kind, model.name, asked.sha256, asked.bytes
        )
        headers = {"Location": addresses.upload(upload.id), UPLOAD_OFFSET_HEADER: str(offset)}
        return Response(
            dump_upload_state(UploadState(upload.id, offset)),
            status_code=201,
            headers=headers,
            media_type=JSON,
        )

    async def show_upload(self, request: Request) -> Response:
        """Answer GET and HEAD /v1/uploads/{upload}: the number of bytes that have come."""
        upload = await self._upload(request)
        offset = await asyncio.to_thread(self._service.uploads.offset, upload)
        headers = {
            UPLOAD_OFFSET_HEADER: str(offset),
            "Upload-Length": str(upload.bytes),
            "Cache-Control": "no-store",
        }
        return Response(dump_upload_state(UploadState(upload.id, offset)), headers=headers, media_type=JSON)

    async def continue_upload(self, request: Request) -> Response:
        """Answer PATCH /v1/uploads/{upload}: take the bytes that follow, and keep the upload when it is complete."""
        check_content_type(request)
        upload = await self._upload(request)
        kind = self._kind(request, upload)
        offset = load_offset(request.headers.get(UPLOAD_OFFSET_HEADER, ""))
        writer = await asyncio.to_thread(self._service.uploads.write, upload, offset)
        await self._write(request, writer, kind, upload)
        if writer.offset < upload.bytes:
            return Response(status_code=204, headers={UPLOAD_OFFSET_HEADER: str(writer.offset)})
        key_id = await self._service.finish_upload(kind, upload)
        return Response(dump_key_id(key_id), media_type=JSON)

    async def cancel_upload(self, request: Request) -> Response:
        """Answer DELETE /v1/uploads/{upload}: give the upload up."""
        upload = await self._upload(request)
        await asyncio.to_thread(self._service.uploads.cancel, upload)
        return Response(status_code=204)

    async def list_keys(self, request: Request) -> Response:
        """Answer GET /v1/models/{name}/keys: the keys of the token's tenant; Refusal (forbidden) without tokens, since
        whoever has a key id may compute with the keys."""
        model = self._model(request, request.path_params["name"])
        if token_of(request) is ANYONE:
            raise Refusal(Code.FORBIDDEN, "stored keys are listed for tenants, and this server has no tokens")
        entries = await asyncio.to_thread(
            self._service.keys.disk.entries, model.key_kind.tenant, model.key_kind.name
        )
        listed = [StoredKeyEntry(one.slot.key_id, one.bytes, one.created, one.used) for one in entries]
        return Response(dump_stored_keys(listed[-MAX_LISTED:]), media_type=JSON)

    async def delete_keys(self, request: Request) -> Response:
        """Answer DELETE /v1/models/{name}/keys/{key_id}: delete the keys, and the weights that belong to them."""
        model = self._model(request, request.path_params["name"])
        key_id = request.path_params["key_id"]
        if not KEY_ID.fullmatch(key_id):
            raise Refusal(Code.KEY_ID_MALFORMED, f"a key id has 64 hexadecimal digits, got {key_id[:80]!r}")
        kinds = [kind.name for kind in model.kinds]
        deleted = await asyncio.to_thread(self._service.keys.delete, model.key_kind.tenant, key_id, kinds)
        if not deleted:
            raise KeysMissing(key_id)
        return Response(status_code=204)

    async def _write(
        self, request: Request, writer: Writer, kind: StoredKind[object], upload: UploadEntry
    ) -> None:
        """Write a body to an upload, and pack what is whole; what has come is kept if the rest does not come."""
        pending = bytearray()
        malformed: WireError | None = None
        unread = 0

        async def flush() -> None:
            data = bytes(pending)
            pending.clear()
            await asyncio.to_thread(writer.write, data)

        async def take(piece: bytes) -> None:
            nonlocal malformed, unread
            if malformed is not None:
                unread += len(piece)
                if unread > REFUSED_BYTES:
                    raise malformed
                return
            pending.extend(piece)
            if len(pending) >= PIECE_BYTES:
                await flush()
                try:
                    await self._service.pack_upload(kind, upload)
                except WireError as error:
                    malformed = error

        try:
            try:
                await receive_body(
                    request,
                    take,
                    smallest=0,
                    largest=upload.bytes - writer.offset,
                    what="the rest of this upload",
                    idle_timeout=self._settings.idle_timeout,
                )
            finally:
                if pending:
                    await flush()
        finally:
            writer.close()
        if malformed is not None:
            raise malformed
        if writer.offset < upload.bytes:
            await self._service.pack_upload(kind, upload)

    async def _upload(self, request: Request) -> UploadEntry:
        upload = request.path_params["upload"]
        if not UPLOAD_ID.fullmatch(upload):
            raise UploadUnknown
        return await asyncio.to_thread(self._service.uploads.find, _tenant(request), upload)

    def _kind(self, request: Request, upload: UploadEntry) -> StoredKind[object]:
        """Return the kind of an upload; UploadUnknown if its model is another one by now."""
        model = self._model(request, upload.model)
        kind: StoredKind[object] = model.key_kind if upload.what == KEYS else weight_kind(model)
        if kind.name != upload.kind:
            raise UploadUnknown
        return kind

    def _model(self, request: Request, name: str) -> ServedModel:
        check_model(request, name)
        check_tenant(request)
        tenant, version = _tenant(request), request.headers.get(addresses.PLAN_HEADER)
        may_use = token_of(request).may_use
        return self._service.model(name, None if tenant == ANY_TENANT else tenant, version, may_use=may_use)


def _tenant(request: Request) -> str:
    token = token_of(request)
    return ANY_TENANT if token is ANYONE else token.tenant
