"""Proxies: every video once as a small file that decodes fast, with the very frame numbers of its source.

    build_proxies(ProxyCache("runs/proxies"), videos, ProxySettings(), workers=8)     # scripts/build_cache.py
    paths = ProxyCache("runs/proxies").paths(videos)                                  # name -> what to decode

A proxy is used for as long as its source is the file it was made from. A missing, stale or damaged one is refused by
`paths` and made anew by the next build; it is never mixed in.
"""

from pretrain.data.proxy.build import BuildReport, build_proxies
from pretrain.data.proxy.cache import ProxyCache
from pretrain.data.proxy.settings import ProxySettings

# not `savings`: it needs the tasks, they need torch, and the processes of a build can do without its import
__all__ = ["BuildReport", "ProxyCache", "ProxySettings", "build_proxies"]
