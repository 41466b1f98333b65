"""An operator's reset of a workflow."""

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client


async def reset(client: Client, workflow_id: str) -> str:
    """Have a workflow run again from its first task on; gives back the id of that run."""
    handle = client.get_workflow_handle(workflow_id)
    history = await handle.fetch_history()
    first = next(
        event.event_id
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    )
    described = await handle.describe()
    answer = await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=described.run_id),
            reason="a test",
            workflow_task_finish_event_id=first,
            request_id=f"reset-{workflow_id}",
        )
    )
    return answer.run_id
