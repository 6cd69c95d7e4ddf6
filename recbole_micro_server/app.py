"""The HTTP service on exported models, and its page."""

from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from recbole_micro_server import answers, layout, page
from recbole_micro_server.limits import LONGEST, MOST, MOST_REASONS
from recbole_micro_server.model import ExportedModel, UnknownId

Id = Annotated[str, Query(min_length=1, max_length=LONGEST)]
IdInPath = Annotated[str, Path(min_length=1, max_length=LONGEST)]
Count = Annotated[int, Query(ge=1, le=MOST)]
SAFE = {"X-Content-Type-Options": "nosniff"}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"model": answers.Problem, "description": "There is none of this id"},
    422: {"model": answers.Problem, "description": "A parameter is missing or out of its range"},
}


class Answer(JSONResponse):
    """JSON that no browser takes for anything else."""

    def __init__(self, content: Any, status_code: int = 200):
        super().__init__(content, status_code, SAFE)


def make_app(model: ExportedModel, beside: ExportedModel | None = None) -> FastAPI:
    """The service of one model, and of a second one below /beside."""
    title = f"{model.manifest['model']} on {model.manifest['dataset']}"
    app = FastAPI(title=title, version=str(model.manifest["versions"]["recbole_micro"]))
    add_errors(app)
    app.include_router(page_routes())
    app.include_router(routes(model, beside))
    if beside is not None:
        app.include_router(routes(beside, None), prefix="/beside", tags=["beside"])
    return app


def routes(model: ExportedModel, beside: ExportedModel | None) -> APIRouter:
    """The questions that a model answers.

    They are coroutines that never wait: an answer takes less time than handing it to a thread does.
    """
    router = APIRouter(responses=PROBLEMS)

    @router.get("/recommend", response_model=list[answers.Listed])
    async def recommend(user: Id, k: Count = 20, seen: bool = False) -> Response:
        """The k best items of a user, best first; with `seen` also those that the user has had."""
        return Answer(model.recommend(user, k, seen))

    @router.get("/similar", response_model=list[answers.Near])
    async def similar(
        item: Id, k: Count = 10, by: Annotated[str | None, Query(max_length=LONGEST)] = None
    ) -> Response:
        """The k items nearest to an item by one kind of vectors; /health lists the kinds."""
        return Answer(model.similar(item, k, by))

    @router.get("/explain", response_model=answers.Explanation)
    async def explain(
        user: Id, item: Id, limit: Annotated[int, Query(ge=0, le=MOST_REASONS)] = 50
    ) -> Response:
        """A score taken apart: its collaborative part, and what each neighbour of the item adds to it."""
        return Answer(model.explain(user, item, limit))

    @router.get("/items/{id:path}", response_model=answers.Item)
    async def item(id: IdInPath) -> Response:
        """Whatever was exported of an item: its columns, how many users had it, its attention."""
        return Answer(model.item_details(id))

    @router.get("/users", response_model=list[str])
    async def users(query: Annotated[str, Query(max_length=LONGEST)] = "", limit: Count = 20) -> Response:
        """Ids of users that begin with a text, then ids that have it elsewhere."""
        return Answer(model.find_users(query, limit))

    @router.get("/users/{id:path}", response_model=list[answers.Item])
    async def history(id: IdInPath) -> Response:
        """The items that a user has had."""
        return Answer(model.history(id))

    @router.get("/map")
    async def items_map() -> Response:
        """The 2-D map of the items: columns `id`, `x`, `y`, and what it can be coloured by."""
        return Answer(model.map())

    @router.get("/images/{name}", include_in_schema=False)
    async def image(name: str) -> Response:
        """A picture that was exported; only names that items.json has are looked for."""
        if name not in model.pictures:
            raise UnknownId("There is no such picture in this model.")
        kind = layout.PICTURES[name[name.rindex(".") :]]
        return FileResponse(model.folder / layout.IMAGES / name, media_type=kind, headers=SAFE)

    @router.get("/health", response_model=answers.Health)
    async def health() -> Response:
        """What is served."""
        return Answer(page.health(model, beside))

    return router


def page_routes() -> APIRouter:
    """The page and its two files."""
    router = APIRouter(include_in_schema=False)
    headers = {**SAFE, "Content-Security-Policy": page.POLICY, "Referrer-Policy": "no-referrer"}

    @router.get("/")
    async def index() -> Response:
        return HTMLResponse(page.text("page.html"), headers=headers)

    @router.get("/page.css")
    async def style() -> Response:
        return Response(page.text("page.css"), media_type="text/css", headers=SAFE)

    @router.get("/page.js")
    async def script() -> Response:
        return Response(page.text("page.js"), media_type="text/javascript", headers=SAFE)

    return router


def add_errors(app: FastAPI) -> None:
    """Every refusal is JSON with one sentence, `{"error": ...}`; it repeats nothing of the request."""

    @app.exception_handler(UnknownId)
    async def unknown(request: Request, error: UnknownId) -> Response:
        return Answer({"error": str(error)}, 404)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return Answer({"error": f"The parameter {first['loc'][-1]}: {first['msg']}."}, 422)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        what = {404: "There is nothing at this path", 405: "Only GET is answered here"}
        sentence = what.get(error.status_code, "The request cannot be answered")
        return Answer({"error": f"{sentence}: /docs lists what can be asked."}, error.status_code)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return Answer({"error": "The server failed at this request; its log says where."}, 500)
