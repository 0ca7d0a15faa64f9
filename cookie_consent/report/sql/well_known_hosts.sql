{# Well-known hosts by channel, the most used ones. Source: the hosts that Matomo tells apart
   (github.com/matomo-org/searchengine-and-social-list, SearchEngines.yml and Socials.yml), and for mail the web addresses
   of the large providers.

   "*." at the beginning stands for any subdomain, or none; ".*" at the end for ".com", a country, or a country's ".co",
   ".com" or ".ne". So "google.*" is google.co.jp, and not google.example or google.evil.jp. #}
{% set search = [
    "google.*", "images.google.*", "news.google.*", "*.bing.com", "*.duckduckgo.com", "search.yahoo.*",
    "*.search.yahoo.com", "*.ecosia.org", "*.qwant.com", "*.startpage.com", "search.brave.com", "*.baidu.com", "yandex.*",
    "ya.ru", "search.naver.com", "search.daum.net", "search.seznam.cz", "*.sogou.com", "*.so.com", "kagi.com",
    "search.goo.ne.jp", "*.ask.com", "search.aol.com", "*.mojeek.com", "*.swisscows.com",
] %}
{% set social = [
    "*.facebook.com", "*.instagram.com", "*.threads.net", "*.threads.com", "t.co", "*.twitter.com", "x.com",
    "*.linkedin.com", "lnkd.in", "*.reddit.com", "*.pinterest.*", "*.youtube.com", "youtu.be", "*.tiktok.com",
    "*.snapchat.com", "*.tumblr.com", "bsky.app", "go.bsky.app", "mastodon.social", "*.whatsapp.com", "web.telegram.org",
    "t.me", "*.line.me", "mixi.jp", "b.hatena.ne.jp", "*.vk.com", "ok.ru", "*.weibo.com", "t.cn", "*.douban.com",
    "*.xing.com", "*.quora.com", "discord.com", "news.ycombinator.com",
] %}
{% set mail = [
    "mail.google.com", "outlook.live.com", "outlook.office.com", "outlook.office365.com", "mail.yahoo.*",
    "*.mail.yahoo.com", "mail.proton.me", "mail.aol.com", "app.fastmail.com", "e.mail.ru", "mail.yandex.*",
    "mail.naver.com", "mail.qq.com", "mail.163.com", "deref-gmx.net", "deref-web.de",
] %}
