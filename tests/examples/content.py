"""One valid example of every command and event of the content context."""

from domain.content import distribution, item, processes
from tests.examples.moments import RECORDED_AT

REQUEST_CONTENT = item.RequestContent(content_id="c1", title="Patch day", kind="article", brief="what to do, and why")
SUBMIT_DRAFT = item.SubmitDraft(content_id="c1", body="Patch on Tuesday.", ai_generated=True, model="small-1")
APPROVE_CONTENT = item.ApproveContent(content_id="c1", reason="clear")
REJECT_CONTENT = item.RejectContent(content_id="c1", reason="says nothing new")
SCHEDULE = item.SchedulePublication(content_id="c1", platforms=("blog", "linkedin"), publish_at=RECORDED_AT)
SETTLE = item.SettlePublication(content_id="c1", published=("blog",), failed=("linkedin",))

REQUESTED = item.ContentRequested(title="Patch day", kind="article", brief="what to do, and why")
DRAFTED = item.ContentDrafted(title="Patch day", body="Patch on Tuesday.", ai_generated=True, model="small-1")
SUBMITTED = item.ContentSubmitted(by="ann")
APPROVED = item.ContentApproved(by="ann", reason="clear")
REJECTED = item.ContentRejected(by="ann", reason="says nothing new")
SCHEDULED = item.ContentScheduled(platforms=("blog", "linkedin"), publish_at=RECORDED_AT)
DISTRIBUTED = item.ContentDistributed(published=("blog",), failed=("linkedin",), open=())

START = distribution.StartPublication(content_id="c1", platform="blog")
PUBLISH = distribution.PublishContent(
    content_id="c1", platform="blog", post_id="p-7", url="https://blog.example/patch-day"
)
FAIL = distribution.FailPublication(content_id="c1", platform="blog", attempt=1, error="503")
REPORT = distribution.ReportPerformance(
    content_id="c1", platform="blog", views=120, engagement=7, measured_at=RECORDED_AT
)

STARTED = distribution.PublicationStarted(content_id="c1", platform="blog", attempt=1)
PUBLISHED = distribution.ContentPublished(
    content_id="c1", platform="blog", post_id="p-7", url="https://blog.example/patch-day"
)
PUBLISH_FAILED = distribution.PublishFailed(content_id="c1", platform="blog", attempt=1, error="503", retryable=True)
PERFORMANCE = distribution.PerformanceReported(
    content_id="c1", platform="blog", views=120, engagement=7, measured_at=RECORDED_AT
)

PLANNED = processes.PublicationPlanned(platforms=("blog", "linkedin"), publish_at=RECORDED_AT)
REACHED = processes.PlatformReached(platform="blog", outcome="started", attempt=1)
