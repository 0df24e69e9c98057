"""From what a company answered to lessons in answering from its articles: with them beside the question."""
