"""The playground: a page that shows the question for a policy which is edited beside it."""
