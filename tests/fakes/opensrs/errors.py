"""What the API says no with."""

LOGIN, MISSING, ALIAS, FORBIDDEN, MALFORMED, UNKNOWN, EXISTS, FOREIGN = 1, 2, 3, 4, 5, 6, 7, 9

TEXTS = {
    LOGIN: "Authentication failed",
    MISSING: "Object does not exist",
    ALIAS: "Object is an alias",
    FORBIDDEN: "You may not change this attribute",
    MALFORMED: "Request malformed",
    UNKNOWN: "Unknown or ill-formed attribute",
    EXISTS: "Object exists",
    FOREIGN: "Permission denied",
}


class ApiError(Exception):
    def __init__(self, number, text=None, **extra):
        super().__init__(number, text)
        self.number, self.text, self.extra = number, text or TEXTS[number], extra

    def answer(self):
        return {"success": False, "error_number": self.number, "error": self.text, **self.extra}
