"""All recipes on the same photos with the same budget: one table, one contact sheet."""
