"""The rendered law: Markdown pages joined from the law, the suite, the broken implementations and the reports.

A plain script writes all pages before the site builder runs, so any builder of Markdown can follow.
"""
