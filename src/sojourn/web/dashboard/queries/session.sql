select * from all_sessions where session_id = {session_id}
