"""Who is asking and may they: bearer tokens, RBAC from the Role documents in the storage, and the reviews."""

import secrets
from dataclasses import dataclass, field

from tests.kube.errors import ApiError, Json
from tests.kube.storage import Storage

_OWN_AUDIENCE = "https://kubernetes.default.svc"


@dataclass(frozen=True)
class User:
    """An authenticated user."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


@dataclass(frozen=True)
class Attempt:
    """What somebody wants to do."""

    verb: str
    group: str
    resource: str
    """With its subresource: rollouts/promote."""
    namespace: str = ""
    name: str = ""


@dataclass
class Access:
    """Tokens and rules."""

    storage: Storage
    tokens: dict[str, User] = field(default_factory=dict)
    audiences: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of the tokens that have some; the others are the API server's own."""

    def user_of(self, authorization: str) -> User:
        """Raises ApiError 401. Without the word Bearer nobody is authenticated: anonymous."""
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer":
            return ANONYMOUS
        user = self.tokens.get(token.strip())
        if user is None or (self.audiences.get(token.strip()) or (_OWN_AUDIENCE,)) != (_OWN_AUDIENCE,):
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return user

    def issue(self, namespace: str, account: str, audiences: tuple[str, ...]) -> str:
        """A ServiceAccount's token."""
        token = f"fake.{secrets.token_hex(16)}"
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        self.tokens[token] = User(f"system:serviceaccount:{namespace}:{account}", groups, uid=f"{namespace}/{account}")
        self.audiences[token] = audiences or (_OWN_AUDIENCE,)
        return token

    def allows(self, user: User, attempt: Attempt) -> bool:
        """RBAC: any rule of any role bound to the user, in the cluster or in the namespace."""
        if "system:masters" in user.groups:
            return True
        return any(_covers(rule, attempt) for rule in self._rules(user, attempt.namespace))

    def check(self, user: User, attempt: Attempt) -> None:
        """Raises ApiError 403."""
        if not self.allows(user, attempt):
            raise ApiError(
                403,
                "Forbidden",
                f'{attempt.resource} "{attempt.name}" is forbidden: User "{user.name}" cannot {attempt.verb} resource'
                f' "{attempt.resource}" in API group "{attempt.group}" in the namespace "{attempt.namespace}"',
            )

    def token_review(self, body: Json) -> Json:
        """The status says it: HTTP 201 means nothing."""
        spec = body.get("spec") or {}
        user = self.tokens.get(spec.get("token", ""))
        wanted = tuple(spec.get("audiences") or (_OWN_AUDIENCE,))
        held = self.audiences.get(spec.get("token", "")) or (_OWN_AUDIENCE,)
        common = [audience for audience in held if audience in wanted]
        status: Json = {"user": {}, "error": "invalid bearer token"}
        if user is not None and not common:
            status = {
                "user": {},
                "error": f"invalid bearer token, token audiences {list(held)} is invalid for {wanted}",
            }
        elif user is not None:
            groups = list(dict.fromkeys((*user.groups, "system:authenticated")))
            status = {"authenticated": True, "audiences": common}
            status["user"] = {"username": user.name, "uid": user.uid, "groups": groups}
        return {**body, "status": status}

    def subject_access_review(self, body: Json) -> Json:
        """What RBAC says about a resource, real or made up."""
        spec = body["spec"]
        asked = spec.get("resourceAttributes") or {}
        resource = asked.get("resource", "") + (f"/{asked['subresource']}" if asked.get("subresource") else "")
        attempt = Attempt(
            asked.get("verb", ""), asked.get("group", ""), resource, asked.get("namespace", ""), asked.get("name", "")
        )
        allowed = self.allows(User(spec.get("user", ""), tuple(spec.get("groups") or ())), attempt)
        return {**body, "status": {"allowed": allowed}}

    def _rules(self, user: User, namespace: str) -> list[Json]:
        group = "rbac.authorization.k8s.io"
        found: list[Json] = []
        for binding in self.storage.all_of(group, "clusterrolebindings").values():
            if _binds(binding, user):
                found += self._role("", binding["roleRef"])
        for (where, _), binding in self.storage.all_of(group, "rolebindings").items():
            if where == namespace and _binds(binding, user):
                found += self._role(where, binding["roleRef"])
        return found

    def _role(self, namespace: str, reference: Json) -> list[Json]:
        is_cluster = reference["kind"] == "ClusterRole"
        roles = self.storage.all_of("rbac.authorization.k8s.io", "clusterroles" if is_cluster else "roles")
        role = roles.get(("" if is_cluster else namespace, reference["name"])) or {}
        return list(role.get("rules") or ())


def _binds(binding: Json, user: User) -> bool:
    for subject in binding.get("subjects") or ():
        match subject["kind"]:
            case "ServiceAccount":
                account = f"system:serviceaccount:{subject.get('namespace', '')}:{subject['name']}"
                if user.name == account:
                    return True
            case "User" if subject["name"] == user.name:
                return True
            case "Group" if subject["name"] in (*user.groups, "system:authenticated"):
                return True
    return False


def _covers(rule: Json, attempt: Attempt) -> bool:
    def has(key: str, value: str) -> bool:
        return bool({"*", value} & set(rule.get(key) or ()))

    is_named = not rule.get("resourceNames") or attempt.name in rule["resourceNames"]
    return (
        has("verbs", attempt.verb)
        and has("apiGroups", attempt.group)
        and has("resources", attempt.resource)
        and is_named
    )
