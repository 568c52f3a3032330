"""Claims with their baselines and verdicts, and the findings page. Nothing else imports it."""
