"""Superset's settings, all from the environment, so that the same file serves `make dashboards` and a container.

HEADRACE_SUPERSET_HOME     folder of the metadata database (SQLite) and uploads
HEADRACE_SUPERSET_SECRET   signs sessions; a new one signs everybody out
HEADRACE_SERVING_READER    postgresql://reader:…@host:port/database: the only way the dashboards reach data
"""

import os

from superset.config import TALISMAN_CONFIG

SECRET_KEY = os.environ["HEADRACE_SUPERSET_SECRET"]
DATA_DIR = os.environ["HEADRACE_SUPERSET_HOME"]
SQLALCHEMY_DATABASE_URI = f"sqlite:///{DATA_DIR}/superset.db"
# Eight threads write the event log at once; SQLite lets the others wait instead of failing.
SQLALCHEMY_ENGINE_OPTIONS = {"connect_args": {"timeout": 30}}

APP_NAME = "Headrace"
LOGO_TARGET_PATH = "/dashboard/list/"
# Loopback or a private network; whoever puts a TLS proxy in front also sets SESSION_COOKIE_SECURE.
WTF_CSRF_ENABLED = True
ROW_LIMIT = 10_000
SQL_MAX_ROW = 100_000
# Seconds-fresh alerts: a dashboard never shows an answer from a cache.
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
FEATURE_FLAGS = {"ALERT_REPORTS": False, "EMBEDDED_SUPERSET": False}

# The front end carries a tracking pixel and map tiles of third parties. The browser may load from this server only.
_own = dict(TALISMAN_CONFIG["content_security_policy"])
_own["img-src"] = ["'self'", "blob:", "data:"]
_own["connect-src"] = ["'self'"]
_own["style-src"] = ["'self'", "'unsafe-inline'"]
_own["font-src"] = ["'self'"]
TALISMAN_CONFIG = {**TALISMAN_CONFIG, "content_security_policy": _own}
# PUBLIC_ROLE_LIKE stays unset: nobody sees a dashboard without signing in.


def DB_CONNECTION_MUTATOR(uri, params, username, security_manager, source):
    """Puts the reader's address where a database file says host `serving`: its password is in no file and no table."""
    if uri.host == "serving":
        from sqlalchemy.engine import make_url

        uri = make_url(os.environ["HEADRACE_SERVING_READER"]).set(drivername="postgresql+psycopg2")
    return uri, params
