select count(user_id) as users from (select user_id from user_activity group by 1) as users
